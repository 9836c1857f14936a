"""Operations of workflows.

A workflow, its index and each of its jobs are in different slots, so nothing changes two of them at once. Every
operation may be repeated, and tells again what its first execution told, as long as it is not known whether that was
acted upon. `_workflow_flows` puts them together.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Self, TypeAlias

from taskora.contracts import JobState
from taskora.contracts.records import record, replace
from taskora.wire._job import StepLink, text_of
from taskora.wire._operation import Operation
from taskora.wire._workflow_graph import WorkflowGraph

StoppedState: TypeAlias = Literal["failed", "cancelled"]
WorkflowState: TypeAlias = Literal["running", "completed", "failed", "cancelled"]

# How long the record of an ended workflow lives.
KEEP_COMPLETED_MS: Final = 86_400_000
KEEP_STOPPED_MS: Final = 7 * 86_400_000
KEEP_ABANDONED_MS: Final = 600_000
# How many ended ones the inspector can list.
LISTED_WORKFLOWS: Final = 10_000

_STATES: Final[tuple[WorkflowState, ...]] = ("running", "completed", "failed", "cancelled")


def state_named(raw: bytes) -> WorkflowState | None:
    """The state of a workflow; None for anything else."""
    text = text_of(raw)
    return next((state for state in _STATES if state == text), None)


@record(guarded=False)
class StepResult:
    """A step whose job has completed; the result is encoded.

    `settled_by` is the token of the claim whose result it is: of what attempts have spawned, that of this one counts.
    """

    step: int
    job_id: str
    result: bytes
    settled_by: str = ""


@record(guarded=False)
class StepJob:
    """A job of a workflow, to be enqueued."""

    workflow_id: str
    step: int
    task: str
    job_id: str
    version: int
    data: bytes


@record
class CreateWorkflow(Operation[bool]):
    """Stores a workflow that runs from now on; false when the id is taken. A `ttl_ms` of 0 sets no limit.

    `given_up_ms` is when the workflow was given up, for a caller that has seen so, and has announced it again since.
    """

    workflow_id: str
    graph: WorkflowGraph
    ttl_ms: int = 0
    given_up_ms: int | None = None
    resend: bool = False

    def again(self) -> Self:
        return replace(self, resend=True)


@record
class AbandonWorkflow(Operation[bool]):
    """Prevents a workflow from being created late; false when it exists."""

    workflow_id: str
    keep_ms: int = KEEP_ABANDONED_MS


@record
class Advanced:
    """Reply of `AdvanceWorkflow`: the steps that can start. `state` is None when there is no such workflow.

    `told_in` is the task whose events tell of the end, once there is one.
    """

    state: WorkflowState | None
    told_in: str
    ready: tuple[StepJob, ...]


@record
class AdvanceWorkflow(Operation[Advanced]):
    """Notes the results of steps, and finds out what they make possible."""

    workflow_id: str
    results: Sequence[StepResult]
    keep_ms: int = KEEP_COMPLETED_MS


@record
class Stopped:
    """Reply of `StopWorkflow`: the jobs that are to be cancelled, as task and id, and the try that the workflow is in.

    `revives_in` is set when nothing was stopped because the job is to be revived: it is the try in which it lives
    again.
    """

    state: WorkflowState | None
    told_in: str
    jobs: tuple[tuple[str, str], ...]
    workflow_try: int = 0
    revives_in: int = 0


@record
class StopWorkflow(Operation[Stopped]):
    """Ends a workflow that runs: because of one of its steps, or, without one, from outside.

    With a `workflow_try` only if the workflow is in that try; `job_try` is the one in which the job was revived, if it
    was. One that `closes` uses up the number of a try that may have been announced, so that it cannot begin late.
    """

    workflow_id: str
    state: StoppedState
    message: str
    step: int = -1
    job_id: str = ""
    workflow_try: int | None = None
    job_try: int = 0
    closes: bool = False
    keep_ms: int = KEEP_STOPPED_MS


@record
class ReviseWorkflow(Operation[bool]):
    """Replaces the graph of a workflow, and fields beside it, unless it has changed since it was read.

    `seen_state`, `graph_sha` and `seen_try` are what was read; `open_steps` must not have their results yet. `mark` is
    left in `mark_field`, where those who want the same leave theirs: one that is sent again knows its own.
    """

    workflow_id: str
    seen_state: WorkflowState
    graph_sha: str
    graph: WorkflowGraph
    fields: Mapping[str, str | bytes]
    forgotten: Sequence[str] = ()
    open_steps: Sequence[int] = ()
    seen_try: int = 0
    mark_field: str = "py:revised"
    mark: str = ""
    resend: bool = False

    def again(self) -> Self:
        return replace(self, resend=True)


@record
class WorkflowFields:
    """What is stored of a workflow, by field; empty when there is none. `now_ms` is the storage's clock."""

    now_ms: int
    values: Mapping[str, bytes]


@record
class ReadWorkflow(Operation[WorkflowFields]):
    """Some fields of a workflow, or, without names, all of them."""

    workflow_id: str
    names: Sequence[str] = ()


@record
class RememberWorkflow(Operation[bool]):
    """Puts a workflow on the list of those to look at, once `look_ms` have passed.

    A `workflow_try` announces another try: from then on no earlier one can be filed.
    """

    workflow_id: str
    look_ms: int
    workflow_try: int = 0


@record
class WorkflowsDue:
    """Reply of `DueWorkflows`: ids, and when all of them come again, in epoch milliseconds."""

    again_at_ms: int
    workflow_ids: tuple[str, ...]


@record
class DueWorkflows(Operation[WorkflowsDue]):
    """Takes the workflows that are to be looked at; they come again after `again_ms`."""

    limit: int
    again_ms: int


@record
class FileWorkflow(Operation[bool]):
    """Takes an ended workflow off the list of those to look at; `listed` ones go on the list of ended ones.

    With `look_at_ms`, as `DueWorkflows` told it, only if nobody has remembered it since; the reply is false if somebody
    has. With a `workflow_try` that has stopped, only if no later one was announced.
    """

    workflow_id: str
    listed: bool = True
    keep_ms: int = KEEP_STOPPED_MS
    max_items: int = LISTED_WORKFLOWS
    look_at_ms: int | None = None
    workflow_try: int | None = None


@record
class ListWorkflows(Operation[tuple[str, ...]]):
    """A page of the ids of workflows: those that have not been filed, or the ended ones, newest first."""

    ended: bool
    offset: int
    limit: int


@record
class WorkflowSummary:
    """What a list shows of a workflow. Times are epoch milliseconds; `steps` counts its steps by state."""

    workflow_id: str
    state: WorkflowState
    name: str
    created_ms: int
    finished_ms: int | None
    deadline_ms: int | None
    error: str | None
    steps: Mapping[str, int]


@record
class DescribeWorkflow(Operation[WorkflowSummary | None]):
    """A summary of a workflow; None when there is none, or nothing that could be one."""

    workflow_id: str


@record(guarded=False)
class EnqueueSteps(Operation[tuple[bool, ...]]):
    """Creates jobs of one task and version; the reply says which were created. An id that exists is left alone."""

    task: str
    version: int
    steps: Sequence[StepJob]


@record
class EndedStep:
    """A job of a workflow that has ended. `state` is None when it has not, after all, or is gone.

    `workflow_try` is the try in which it was revived, as in `JobStatus`.
    """

    task: str
    job_id: str
    link: StepLink | None
    state: JobState | None
    result: bytes = b""
    error: str = ""
    cancel_reason: str = ""
    workflow_try: int = 0
    settled_by: str = ""


@record
class ReadUntold(Operation[tuple[EndedStep, ...]]):
    """Jobs of workflows that ended at least `min_age_ms` ago, and whose workflows may not know."""

    task: str
    min_age_ms: int
    limit: int


@record
class ForgetUntold(Operation[int]):
    """Says that the workflows of these jobs know of their ends; the reply is how many were noted."""

    task: str
    job_ids: Sequence[str]


@record
class PostponeUntold(Operation[tuple[str, ...]]):
    """Puts off telling workflows of the ends of these jobs, longer the longer ago that was, within bounds.

    The notes of those that ended `give_up_ms` ago or more, if that is not None, are crossed out; the reply names them.
    """

    task: str
    job_ids: Sequence[str]
    shortest_ms: int = 10_000
    longest_ms: int = 600_000
    give_up_ms: int | None = None


@record
class TellWorkflowEnd(Operation[bool]):
    """Tells those who wait that a workflow has ended, in the events of a task."""

    task: str
    workflow_id: str
    state: WorkflowState
