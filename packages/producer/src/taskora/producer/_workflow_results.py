"""What the end of a workflow means to whoever waits for it, and what people see of workflows."""

from collections.abc import Mapping
from typing import Any, Final, cast

from taskora.contracts import JobCancelledError, JobFailedError, UnknownJobError, UsageError
from taskora.contracts.records import record
from taskora.producer._inspection import check_page, plain_value
from taskora.producer._workflow_building import Plan
from taskora.wire import (
    DescribeWorkflow,
    Flow,
    ListWorkflows,
    ReadWorkflow,
    Serializer,
    WorkflowRecord,
    WorkflowState,
    WorkflowStatus,
    WorkflowSummary,
    ask,
    ask_together,
    read_workflow,
)

_READ_AT_ONCE: Final = 500
_LISTED_AT_ONCE: Final = 50
STATES: Final[tuple[WorkflowState, ...]] = ("running", "completed", "failed", "cancelled")


@record
class WorkflowNode:
    """One step of a workflow. `result` is a plain value; `spawned_by` is the number of the step that added it.

    `state` is that of the step: `pending`, `active`, `completed`, `failed` or `cancelled`. A first step is `pending`
    until it has completed; its job tells more.
    """

    number: int
    task: str
    job_id: str
    state: str
    depends_on: tuple[int, ...]
    spawned_by: int | None
    result: object
    error: str | None


@record
class WorkflowInfo:
    """A workflow as it stands. Times are epoch milliseconds; `steps` counts its steps by state."""

    id: str
    name: str
    state: WorkflowState
    created_ms: int
    finished_ms: int | None
    deadline_ms: int | None
    error: str | None
    steps: Mapping[str, int]


def raise_if_stopped(workflow_id: str, name: str, status: WorkflowStatus | None) -> Flow[None]:
    """Says why a workflow has no result.

    Raises:
        UnknownJobError, JobFailedError, JobCancelledError: what became of it.
    """
    if status is None:
        raise UnknownJobError(job_id=workflow_id, workflow_id=workflow_id)
    if status.state == "cancelled":
        raise JobCancelledError(job_id=workflow_id, task=name, reason=status.error or None, workflow_id=workflow_id)
    if status.state == "failed":
        record = yield from read_workflow(workflow_id)
        job_id, task = workflow_id, name
        if record is not None:
            failed = (step for number, step in enumerate(record.graph.steps) if f"n:{number}:error" in record.fields)
            for step in failed:
                job_id, task = step.job_id, step.task
        raise JobFailedError(job_id=job_id, task=task, error=status.error or "", workflow_id=workflow_id)


def read_output(workflow_id: str, plan: Plan) -> Flow[object]:
    """The result of a workflow that has completed.

    Raises:
        UnknownJobError: its record has ended.
        ValidationError: a result does not fit its contract.
    """
    numbers = sorted(set(plan.output.steps))
    results: dict[int, bytes] = {}
    for start in range(0, len(numbers), _READ_AT_ONCE):
        batch = numbers[start : start + _READ_AT_ONCE]
        names = [f"n:{number}:result" for number in batch]
        stored = yield from ask(ReadWorkflow(workflow_id=workflow_id, names=names))
        if not stored.values:
            raise UnknownJobError(job_id=workflow_id, workflow_id=workflow_id)
        results.update((number, stored.values.get(name, b"")) for number, name in zip(batch, names, strict=True))
    return plan.output.read(workflow_id, results)


def read_nodes(workflow_id: str, serializer: Serializer) -> Flow[list[WorkflowNode]]:
    """The steps of a workflow, in order; none if there is no such workflow."""
    record = yield from read_workflow(workflow_id)
    return [] if record is None else [_node(record, number, serializer) for number in range(len(record.graph.steps))]


def _node(record: WorkflowRecord, number: int, serializer: Serializer) -> WorkflowNode:
    step = record.graph.steps[number]
    error = record.fields.get(f"n:{number}:error")
    return WorkflowNode(
        number=number,
        task=step.task,
        job_id=step.job_id,
        state=record.state_of(number),
        depends_on=step.deps,
        spawned_by=step.parent,
        result=plain_value(record.result_of(number), serializer),
        error=None if error is None else error.decode("utf-8", "backslashreplace"),
    )


def list_workflows(state: WorkflowState | None, limit: int, offset: int) -> Flow[list[WorkflowInfo]]:
    """Workflows: those that run, then those that have ended, newest first."""
    check_page("limit", limit)
    check_page("offset", offset)
    if state is not None and state not in STATES:
        raise UsageError.for_field("state", cast("Any", state), f"one of {', '.join(STATES)}, or None")
    found: list[WorkflowInfo] = []
    seen: set[str] = set()
    indexes = (False,) if state == "running" else (False, True)
    for is_ended in indexes:
        start = 0
        while len(found) < limit:
            ids = yield from ask(ListWorkflows(ended=is_ended, offset=start, limit=_LISTED_AT_ONCE))
            if not ids:
                break
            start += len(ids)
            fresh = [workflow_id for workflow_id in ids if workflow_id not in seen]
            seen.update(fresh)
            summaries = yield from ask_together([DescribeWorkflow(workflow_id=workflow_id) for workflow_id in fresh])
            matching = [summary for summary in summaries if summary and state in (None, summary.state)]
            found += [_info(summary) for summary in matching[offset : offset + limit - len(found)]]
            offset = max(offset - len(matching), 0)
    return found


def _info(summary: WorkflowSummary) -> WorkflowInfo:
    return WorkflowInfo(
        id=summary.workflow_id,
        name=summary.name,
        state=summary.state,
        created_ms=summary.created_ms,
        finished_ms=summary.finished_ms,
        deadline_ms=summary.deadline_ms,
        error=summary.error,
        steps=summary.steps,
    )
