"""Workflows: their records, and the indexes of those that run and of those that have ended."""

import hashlib
from collections.abc import Iterable
from typing import Final

from taskora.contracts.records import field, record, replace
from taskora.wire import _operations as op
from taskora.wire._workflow_graph import WorkflowGraph, WorkflowStep, numbers_of
from taskora.wire.backends._memory._record import Record, encoded, number, text, write
from taskora.wire.backends._memory._sorted_ids import SortedIds


@record(frozen=False, kw_only=False)
class StoredWorkflow:
    """The fields of a workflow, as in Redis, and its graph, read."""

    graph: WorkflowGraph
    fields: Record = field(default_factory=dict[str, bytes])
    _followers: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self._followers = self.graph.followers

    def replace(self, graph: WorkflowGraph) -> None:
        """Takes another graph."""
        self.graph = graph
        self._followers = graph.followers
        self.fields["graph"] = graph.encode()

    def state_of(self, step: int) -> str:
        """Where a step stands."""
        return text(self.fields, f"n:{step}:state")

    def result_of(self, step: int) -> bytes:
        """The result of a step; empty when there is none."""
        return self.fields.get(f"n:{step}:result", b"")

    def is_held(self, step: int) -> bool:
        """Whether a step has its result, and waits for what it spawned."""
        return self.state_of(step) == "active" and f"n:{step}:result" in self.fields

    def all_completed(self, steps: Iterable[int]) -> bool:
        """Whether all of these steps are done."""
        return all(self.state_of(step) == "completed" for step in steps)

    def all_spawned_completed(self, step: int) -> bool:
        """Whether everything that a step spawned is done."""
        return self.all_completed(numbers_of(text(self.fields, f"py:spawned:{step}")))

    def followers(self, step: int) -> list[int]:
        """The steps that wait for one."""
        return self._followers[step]

    def owns(self, step: int, job_id: str) -> bool:
        """Whether a job is the one of a step."""
        return 0 <= step < len(self.graph.steps) and self.graph.steps[step].job_id == job_id


class Workflows:
    """All workflows of one prefix. Not safe for threads by itself: `Store` lets in one operation at a time."""

    def __init__(self) -> None:
        self._stored: dict[str, StoredWorkflow] = {}
        self._ends: Final = SortedIds()
        self.running: Final = SortedIds()
        self.ended: Final = SortedIds()
        self.tries: Final[dict[str, int]] = {}

    def find(self, workflow_id: str, now_ms: int) -> StoredWorkflow | None:
        """A workflow, while its record lives."""
        for ended in self._ends.take(len(self._ends), up_to=now_ms):
            del self._stored[ended]
        return self._stored.get(workflow_id)

    def add(self, workflow_id: str, workflow: StoredWorkflow) -> None:
        """Stores a workflow."""
        self._stored[workflow_id] = workflow
        self._ends.discard(workflow_id)

    def keep_until(self, workflow_id: str, ends_at_ms: int) -> None:
        """Says when the record of a workflow ends."""
        self._ends.add(workflow_id, ends_at_ms)

    def keep(self, workflow_id: str) -> None:
        """Lets the record of a workflow stay."""
        self._ends.discard(workflow_id)


def create_workflow(workflows: Workflows, operation: op.CreateWorkflow, now_ms: int) -> bool:
    """Stores a workflow that runs."""
    graph = operation.graph
    found = workflows.find(operation.workflow_id, now_ms)
    if found is not None and not _is_given_up_at(found, operation.given_up_ms):
        return operation.resend and found.fields.get("graph") == graph.encode()
    made = StoredWorkflow(graph)
    write(made.fields, state="running", createdAt=now_ms, graph=graph.encode())
    made.fields["py:name"] = encoded(graph.name)
    made.fields["py:terminal"] = encoded(graph.terminal_line)
    made.fields["py:count"] = encoded(len(graph.steps))
    if operation.ttl_ms > 0:
        made.fields["py:ttl"] = encoded(operation.ttl_ms)
        made.fields["py:deadline"] = encoded(now_ms + operation.ttl_ms)
    for step, plan in enumerate(graph.plans()):
        made.fields[f"n:{step}:state"] = b"pending"
        made.fields[f"py:plan:{step}"] = encoded(plan)
    workflows.add(operation.workflow_id, made)
    return True


def abandon_workflow(workflows: Workflows, operation: op.AbandonWorkflow, now_ms: int) -> bool:
    """Prevents a workflow from being created."""
    found = workflows.find(operation.workflow_id, now_ms)
    if found is not None and not _is_given_up(found):
        return False
    made = StoredWorkflow(WorkflowGraph(steps=(), terminal=(), name=""))
    write(made.fields, state="cancelled", createdAt=now_ms, error="never created")
    workflows.add(operation.workflow_id, made)
    workflows.keep_until(operation.workflow_id, now_ms + operation.keep_ms)
    return True


def _is_given_up(found: StoredWorkflow) -> bool:
    """Whether there is nothing but the mark that it must not be created."""
    return "graph" not in found.fields and state_of(found) == "cancelled"


def _is_given_up_at(found: StoredWorkflow, given_up_ms: int | None) -> bool:
    return _is_given_up(found) and given_up_ms is not None and found.fields.get("createdAt") == encoded(given_up_ms)


def stop_workflow(workflows: Workflows, operation: op.StopWorkflow, now_ms: int) -> op.Stopped:
    """Ends a workflow that runs, with every step that has not completed."""
    found = workflows.find(operation.workflow_id, now_ms)
    if found is None:
        return op.Stopped(state=None, told_in="", jobs=())
    state, current = state_of(found), number(found.fields, "py:try")
    nothing = op.Stopped(state=state, told_in="", jobs=(), workflow_try=current)
    if operation.workflow_try not in (None, current):
        return nothing
    if state == "running":
        step = operation.step
        if step >= 0 and (not found.owns(step, operation.job_id) or found.state_of(step) == "completed"):
            return nothing
        revives_in = number(found.fields, f"py:revive:{step}")
        if revives_in > operation.job_try:
            return replace(nothing, revives_in=revives_in)
        _stop(found, operation, now_ms)
        workflows.keep_until(operation.workflow_id, now_ms + operation.keep_ms)
        state = operation.state
    elif operation.step >= 0 and f"n:{operation.step}:error" not in found.fields:
        return nothing
    cascade = (found.graph.steps[step] for step in numbers_of(text(found.fields, "py:cascade")))
    jobs = tuple((step.task, step.job_id) for step in cascade)
    if operation.closes and state in ("failed", "cancelled"):
        current += 1
        found.fields["py:try"] = encoded(current)
    return op.Stopped(state=state, told_in=told_in(found), jobs=jobs, workflow_try=current)


def _stop(found: StoredWorkflow, operation: op.StopWorkflow, now_ms: int) -> None:
    cascade: list[int] = []
    for index, step in enumerate(found.graph.steps):
        if found.state_of(index) not in ("pending", "active"):
            continue
        if index != operation.step and _may_have_a_job(found, index, step):
            cascade.append(index)
        found.fields[f"n:{index}:state"] = encoded(operation.state)
    write(found.fields, state=operation.state, error=operation.message)
    found.fields["py:finishedAt"] = encoded(now_ms)
    found.fields["py:cascade"] = encoded(",".join(map(str, cascade)))
    if operation.step >= 0:
        found.fields[f"n:{operation.step}:error"] = encoded(operation.message)


def _may_have_a_job(found: StoredWorkflow, index: int, step: WorkflowStep) -> bool:
    if found.state_of(index) == "active":
        return not found.is_held(index)
    return not step.deps


def revise_workflow(workflows: Workflows, operation: op.ReviseWorkflow, now_ms: int) -> bool:
    """Replaces a graph, unless the workflow has changed."""
    found = workflows.find(operation.workflow_id, now_ms)
    if found is None:
        return False
    if operation.resend and text(found.fields, operation.mark_field) == operation.mark:
        return True
    if state_of(found) != operation.seen_state or "graph" not in found.fields:
        return False
    if number(found.fields, "py:try") != operation.seen_try:
        return False
    if hashlib.sha1(found.fields["graph"]).hexdigest() != operation.graph_sha:
        return False
    if any(found.state_of(step) == "completed" or f"n:{step}:result" in found.fields for step in operation.open_steps):
        return False
    for name in operation.forgotten:
        found.fields.pop(name, None)
    found.replace(operation.graph)
    write(found.fields, state="running")
    found.fields[operation.mark_field] = encoded(operation.mark)
    found.fields.update({name: encoded(value) for name, value in operation.fields.items()})
    workflows.keep(operation.workflow_id)
    return True


def read_workflow(workflows: Workflows, operation: op.ReadWorkflow, now_ms: int) -> op.WorkflowFields:
    """Fields of a workflow."""
    found = workflows.find(operation.workflow_id, now_ms)
    fields = {} if found is None else found.fields
    names = operation.names or fields
    return op.WorkflowFields(now_ms=now_ms, values={name: fields[name] for name in names if name in fields})


def remember_workflow(workflows: Workflows, operation: op.RememberWorkflow, now_ms: int) -> bool:
    """Says when to look at a workflow: at an even millisecond."""
    look_at_ms = now_ms + operation.look_ms
    workflows.running.add(operation.workflow_id, look_at_ms + look_at_ms % 2)
    workflows.ended.discard(operation.workflow_id)
    if operation.workflow_try > workflows.tries.get(operation.workflow_id, 0):
        workflows.tries[operation.workflow_id] = operation.workflow_try
    return True


def due_workflows(workflows: Workflows, operation: op.DueWorkflows, now_ms: int) -> op.WorkflowsDue:
    """Takes those whose look is due; they come again at an odd millisecond."""
    due = workflows.running.take(operation.limit, up_to=now_ms)
    again_at_ms = now_ms + operation.again_ms
    again_at_ms += 1 - again_at_ms % 2
    for workflow_id in due:
        workflows.running.add(workflow_id, again_at_ms)
    return op.WorkflowsDue(again_at_ms=again_at_ms, workflow_ids=tuple(due))


def file_workflow(workflows: Workflows, operation: op.FileWorkflow, now_ms: int) -> bool:
    """Moves a workflow to the ended ones."""
    look_at_ms = operation.look_at_ms
    if look_at_ms is not None and workflows.running.score(operation.workflow_id) != look_at_ms:
        return False
    announced = workflows.tries.get(operation.workflow_id, 0)
    if operation.workflow_try is not None and announced > operation.workflow_try:
        return False
    workflows.tries.pop(operation.workflow_id, None)
    workflows.running.discard(operation.workflow_id)
    if operation.listed and operation.workflow_id not in workflows.ended:
        workflows.ended.add(operation.workflow_id, now_ms)
    workflows.ended.take(len(workflows.ended), up_to=now_ms - operation.keep_ms)
    workflows.ended.take(len(workflows.ended) - operation.max_items)
    return True


def list_workflows(workflows: Workflows, operation: op.ListWorkflows, _now_ms: int) -> tuple[str, ...]:
    """A page of an index."""
    limit = max(operation.limit, 0)
    if operation.ended:
        return tuple(workflows.ended.page_from_last(operation.offset, limit))
    return tuple(workflows.running.page(operation.offset, limit))


def state_of(workflow: StoredWorkflow) -> op.WorkflowState | None:
    """Where a workflow stands."""
    return op.state_named(workflow.fields.get("state", b""))


def told_in(workflow: StoredWorkflow) -> str:
    """The task in whose events the end of a workflow is told."""
    terminal = workflow.graph.terminal
    return workflow.graph.steps[terminal[0]].task if terminal else ""
