"""A workflow as it is stored, decoded."""

from collections.abc import Mapping
from typing import Final

from taskora.contracts.records import record
from taskora.wire._flows import Flow, ask
from taskora.wire._job import integer_of, text_of
from taskora.wire._operations import ReadWorkflow, WorkflowFields, WorkflowState, state_named
from taskora.wire._workflow_graph import DamagedWorkflowError, WorkflowGraph, decode_graph, numbers_of

STATUS_FIELDS: Final = ("state", "error", "py:deadline", "py:try")


@record
class WorkflowRecord:
    """Everything stored of a workflow. Times are epoch milliseconds; `now_ms` is when it was read.

    `workflow_try` counts how often it was tried again. `fields` holds the record as it is, fields of other programs
    included.
    """

    workflow_id: str
    now_ms: int
    state: WorkflowState
    graph: WorkflowGraph
    created_ms: int
    finished_ms: int | None
    deadline_ms: int | None
    ttl_ms: int | None
    error: str | None
    workflow_try: int
    fields: Mapping[str, bytes]

    def state_of(self, step: int) -> str:
        """Where a step stands: pending, active, completed, failed or cancelled."""
        return text_of(self.fields.get(f"n:{step}:state")) or "pending"

    def result_of(self, step: int) -> bytes:
        """The encoded result of a step; empty when there is none."""
        return self.fields.get(f"n:{step}:result", b"")

    def is_held(self, step: int) -> bool:
        """Whether a step has its result, and waits for what it spawned."""
        return self.state_of(step) == "active" and f"n:{step}:result" in self.fields

    def spawned_by(self, step: int) -> tuple[int, ...]:
        """The steps that a step waits for because it spawned them."""
        return numbers_of(text_of(self.fields.get(f"py:spawned:{step}")) or "")

    def is_job_of(self, step: int, job_id: str) -> bool:
        """Whether a job is the one of a step, in the try that the workflow is in."""
        return 0 <= step < len(self.graph.steps) and self.graph.steps[step].job_id == job_id

    def revives_in(self, step: int) -> int:
        """The try in which the job of a step lives again that had failed in an earlier one; 0 for any other."""
        return integer_of(self.fields.get(f"py:revive:{step}")) or 0

    @property
    def cascade(self) -> tuple[int, ...]:
        """The steps whose jobs had to be cancelled when the workflow stopped."""
        return numbers_of(text_of(self.fields.get("py:cascade")) or "")

    @property
    def dropped(self) -> tuple[int, ...]:
        """The steps that attempts had planned whose results do not count."""
        return numbers_of(text_of(self.fields.get("py:dropped")) or "")

    @property
    def open_jobs(self) -> list[int]:
        """The steps whose jobs should exist, and are not known to have ended."""
        return [
            number
            for number, step in enumerate(self.graph.steps)
            if (self.state_of(number) == "active" and not self.is_held(number))
            or (self.state_of(number) == "pending" and not step.deps)
        ]

    @property
    def is_overdue(self) -> bool:
        """Whether its time is over."""
        return self.deadline_ms is not None and self.now_ms >= self.deadline_ms


@record
class WorkflowStatus:
    """Where a workflow stands. `error` is the message of what failed, or why it was cancelled."""

    state: WorkflowState
    error: str | None
    is_overdue: bool
    workflow_try: int = 0


def read_workflow(workflow_id: str) -> Flow[WorkflowRecord | None]:
    """Reads a whole workflow; None when there is none.

    Raises:
        DamagedWorkflowError: its record cannot be read.
    """
    stored = yield from ask(ReadWorkflow(workflow_id=workflow_id))
    return decode_workflow(workflow_id, stored)


def decode_workflow(workflow_id: str, stored: WorkflowFields) -> WorkflowRecord | None:
    """Decodes a record; None when there is none, or nothing but the mark that it must not be created."""
    fields = stored.values
    state = state_named(fields.get("state", b""))
    if "graph" not in fields and ("state" in fields or not fields):
        return None
    if state is None:
        raise DamagedWorkflowError(f"workflow {workflow_id} is damaged: its state is {fields.get('state')!r}")
    count = integer_of(fields.get("py:count")) or 0
    plans = [text_of(fields.get(f"py:plan:{step}")) for step in range(count)]
    try:
        graph = decode_graph(fields["graph"], plans)
    except DamagedWorkflowError as error:
        raise DamagedWorkflowError(f"workflow {workflow_id}: {error}") from error.__cause__
    return WorkflowRecord(
        workflow_id=workflow_id,
        now_ms=stored.now_ms,
        state=state,
        graph=graph,
        created_ms=integer_of(fields.get("createdAt")) or 0,
        finished_ms=integer_of(fields.get("py:finishedAt")),
        deadline_ms=integer_of(fields.get("py:deadline")),
        ttl_ms=integer_of(fields.get("py:ttl")),
        error=text_of(fields.get("error")),
        workflow_try=integer_of(fields.get("py:try")) or 0,
        fields=fields,
    )


def read_workflow_status(workflow_id: str) -> Flow[WorkflowStatus | None]:
    """Where a workflow stands; None when there is none."""
    stored = yield from ask(ReadWorkflow(workflow_id=workflow_id, names=STATUS_FIELDS))
    state = state_named(stored.values.get("state", b""))
    if state is None:
        return None
    deadline_ms = integer_of(stored.values.get("py:deadline"))
    return WorkflowStatus(
        state=state,
        error=text_of(stored.values.get("error")),
        is_overdue=deadline_ms is not None and stored.now_ms >= deadline_ms,
        workflow_try=integer_of(stored.values.get("py:try")) or 0,
    )
