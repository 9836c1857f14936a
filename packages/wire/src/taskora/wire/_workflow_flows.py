"""What happens to workflows, in several operations: creating, advancing, stopping.

A workflow and its jobs are in different slots, so there is no moment at which everything is consistent. The order of
operations makes sure that whatever was begun is found and finished by somebody:

- a workflow is on the list of those to look at before it exists, and until nothing is left to be done for it;
- a job that has ended stays noted until its workflow knows, and everything that follows from that is under way;
- ids of jobs are fixed in the graph, and an id that exists is not enqueued again.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from taskora.contracts import BackendError, JobState
from taskora.wire import _operations as op
from taskora.wire._flows import Flow, ask
from taskora.wire._workflow_graph import WorkflowGraph

FIRST_LOOK_MS: Final = 30_000
TIMED_OUT: Final = "workflow timeout"

_ENQUEUED_AT_ONCE: Final = 1000
_ENQUEUED_BYTES: Final = 8 * 1_048_576


def create_workflow(workflow_id: str, graph: WorkflowGraph, ttl_ms: int = 0) -> Flow[None]:
    """Stores a workflow and enqueues its first steps. What a crash leaves undone is done by a sweeper.

    Raises:
        BackendError: its creation took so long that a sweeper gave it up; nothing runs.
    """
    created = yield from begin_workflow(op.CreateWorkflow(workflow_id=workflow_id, graph=graph, ttl_ms=ttl_ms))
    if not created:
        raise BackendError(
            f"workflow {workflow_id} could not be created in time, and nothing of it runs: dispatch again"
        )


def begin_workflow(create: op.CreateWorkflow) -> Flow[bool]:
    """Announces and stores a workflow, and enqueues its first steps; false if it may not be created."""
    look_ms = min(FIRST_LOOK_MS, create.ttl_ms) if create.ttl_ms else FIRST_LOOK_MS
    yield from ask(op.RememberWorkflow(workflow_id=create.workflow_id, look_ms=look_ms))
    created = yield from ask(create)
    if created:
        yield from enqueue_steps(_root(create.workflow_id, create.graph, number) for number in create.graph.roots)
    return created


def _root(workflow_id: str, graph: WorkflowGraph, number: int) -> op.StepJob:
    step = graph.steps[number]
    return op.StepJob(
        workflow_id=workflow_id,
        step=number,
        task=step.task,
        job_id=step.job_id,
        version=step.version,
        data=step.data or b"null",
    )


def enqueue_steps(jobs: Iterable[op.StepJob]) -> Flow[None]:
    """Enqueues jobs, in as few calls as possible; ids that exist are left alone."""
    by_task: dict[tuple[str, int], list[op.StepJob]] = {}
    for job in jobs:
        by_task.setdefault((job.task, job.version), []).append(job)
    for (task, version), waiting in by_task.items():
        for batch in _batches(waiting):
            yield from ask(op.EnqueueSteps(task=task, version=version, steps=batch))


def _batches(jobs: Sequence[op.StepJob]) -> Iterable[Sequence[op.StepJob]]:
    batch: list[op.StepJob] = []
    weight = 0
    for job in jobs:
        weight += len(job.data)
        if batch and (weight > _ENQUEUED_BYTES or len(batch) == _ENQUEUED_AT_ONCE):
            yield batch
            batch, weight = [], len(job.data)
        batch.append(job)
    yield batch


def settle_steps(ended: Sequence[op.EndedStep]) -> Flow[None]:
    """Tells workflows of jobs that have ended, does what follows, and crosses the notes of their ends out.

    A job that has not ended, and one of no workflow, have nothing to tell.
    """
    by_workflow: dict[str, list[tuple[int, op.EndedStep]]] = {}
    for step in ended:
        if step.link is not None and step.state is not None and step.state.is_terminal:
            by_workflow.setdefault(step.link.workflow_id, []).append((step.link.step, step))
    for workflow_id, steps in by_workflow.items():
        yield from _settle(workflow_id, steps)
    by_task: dict[str, list[str]] = {}
    for step in ended:
        by_task.setdefault(step.task, []).append(step.job_id)
    for task, job_ids in by_task.items():
        yield from ask(op.ForgetUntold(task=task, job_ids=job_ids))


def _settle(workflow_id: str, steps: Sequence[tuple[int, op.EndedStep]]) -> Flow[None]:
    results = [
        op.StepResult(step=number, job_id=step.job_id, result=step.result)
        for number, step in steps
        if step.state is JobState.COMPLETED
    ]
    if results:
        yield from advance(workflow_id, results)
    for number, step in steps:
        if step.state is not JobState.COMPLETED:
            yield from _fail(workflow_id, number, step)


def advance(workflow_id: str, results: Sequence[op.StepResult]) -> Flow[None]:
    """Notes results, and enqueues what they make possible."""
    reply = yield from ask(op.AdvanceWorkflow(workflow_id=workflow_id, results=results))
    yield from enqueue_steps(reply.ready)
    if reply.state == "completed":
        yield from file_workflow(workflow_id, "completed", reply.told_in)


def _fail(workflow_id: str, number: int, step: op.EndedStep) -> Flow[None]:
    state: op.StoppedState = "failed"
    if step.state is JobState.CANCELLED:
        state, message = "cancelled", step.cancel_reason or f"step {number}, {step.task}, was cancelled"
    elif step.state is JobState.EXPIRED:
        message = f"step {number}, {step.task}, did not start within its time to live"
    else:
        message = step.error or f"step {number}, {step.task}, failed"
    yield from stop(
        op.StopWorkflow(workflow_id=workflow_id, state=state, message=message, step=number, job_id=step.job_id)
    )


def stop(operation: op.StopWorkflow) -> Flow[op.WorkflowState | None]:
    """Ends a workflow and cancels its jobs; tells the state it is in then, None when there is none."""
    reply = yield from ask(operation)
    if not reply.told_in or reply.state not in ("failed", "cancelled"):
        return reply.state
    reason = "workflow failed" if reply.state == "failed" else operation.message or "workflow cancelled"
    # Later steps first: they are likely to wait, and would start in the places of those that are stopped.
    for task, job_id in reversed(reply.jobs):
        yield from ask(op.CancelStep(task=task, job_id=job_id, reason=reason))
    yield from file_workflow(operation.workflow_id, reply.state, reply.told_in)
    return reply.state


def cancel_workflow(workflow_id: str, reason: str) -> Flow[bool]:
    """Cancels a workflow and all its jobs; false when it has ended, or never was."""
    before = yield from ask(op.ReadWorkflow(workflow_id=workflow_id, names=("state",)))
    state = yield from stop(op.StopWorkflow(workflow_id=workflow_id, state="cancelled", message=reason))
    return state == "cancelled" and before.values.get("state") == b"running"


def time_out(workflow_id: str) -> Flow[None]:
    """Cancels a workflow whose time is over."""
    yield from stop(op.StopWorkflow(workflow_id=workflow_id, state="cancelled", message=TIMED_OUT))


def file_workflow(workflow_id: str, state: op.WorkflowState, told_in: str) -> Flow[None]:
    """Nothing is left to be done: tells those who wait, and takes the workflow off the list."""
    if told_in:
        yield from ask(op.TellWorkflowEnd(task=told_in, workflow_id=workflow_id, state=state))
    yield from ask(op.FileWorkflow(workflow_id=workflow_id))
