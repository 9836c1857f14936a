"""What happens to workflows, in several operations: creating, advancing, stopping.

A workflow and its jobs are in different slots, so there is no moment at which everything is consistent. The order of
operations makes sure that whatever was begun is found and finished by somebody:

- a workflow is on the list of those to look at before it exists, and until nothing is left to be done for it;
- a job that has ended stays noted until its workflow knows, and everything that follows from that is under way;
- ids of jobs are fixed in the graph, and an id that exists is not enqueued again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from taskora.contracts import BackendError, JobState
from taskora.wire import _operations as op
from taskora.wire._flows import Flow, ask, may_pass
from taskora.wire._workflow_graph import WorkflowGraph

FIRST_LOOK_MS: Final = 30_000
LONGEST_LOOK_MS: Final = 600_000
TIMED_OUT: Final = "workflow timeout"

# A server that is back is not to be kept waiting.
_LONGEST_OUTAGE_MS: Final = 30_000
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTold:
    """A workflow that could not be told of the ends of some jobs, and why. Their notes are still there."""

    workflow_id: str
    steps: tuple[op.EndedStep, ...]
    error: Exception


def settle_steps(ended: Sequence[op.EndedStep]) -> Flow[tuple[NotTold, ...]]:
    """Tells workflows of jobs that have ended, does what follows, and crosses the notes of their ends out.

    A workflow that cannot be told does not keep others from being told; the reply says which those are. A job that has
    not ended, and one of no workflow, have nothing to tell.
    """
    not_told: list[NotTold] = []
    told = [step for step in ended if not has_to_tell(step)]
    for workflow_id, steps in ends_by_workflow(ended).items():
        try:
            yield from _settle(workflow_id, steps)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one workflow concerns no other
            not_told.append(NotTold(workflow_id=workflow_id, steps=tuple(steps), error=error))
        else:
            told += steps
    yield from _forget(told)
    return tuple(not_told)


def settle_workflow(workflow_id: str, ended: Sequence[op.EndedStep]) -> Flow[None]:
    """As `settle_steps`, of one workflow; raises what keeps it from being told."""
    yield from _settle(workflow_id, ended)
    yield from _forget(ended)


def has_to_tell(step: op.EndedStep) -> bool:
    """Whether a job is of a workflow, and has ended."""
    return step.link is not None and step.state is not None and step.state.is_terminal


def ends_by_workflow(ended: Iterable[op.EndedStep]) -> dict[str, list[op.EndedStep]]:
    """The ends that workflows have to be told of."""
    found: dict[str, list[op.EndedStep]] = {}
    for step in ended:
        if step.link is not None and has_to_tell(step):
            found.setdefault(step.link.workflow_id, []).append(step)
    return found


def _forget(told: Iterable[op.EndedStep]) -> Flow[None]:
    for task, job_ids in ids_by_task(told).items():
        yield from ask(op.ForgetUntold(task=task, job_ids=job_ids))


def ids_by_task(steps: Iterable[op.EndedStep]) -> dict[str, list[str]]:
    """The ids of jobs, by task."""
    found: dict[str, list[str]] = {}
    for step in steps:
        found.setdefault(step.task, []).append(step.job_id)
    return found


def postpone_telling(not_told: NotTold) -> Flow[tuple[str, ...]]:
    """Puts off telling a workflow; the reply names the jobs whose ends nobody will tell it of any more.

    What may pass is tried again for as long as it takes; a workflow that is damaged, until its record would have ended.
    """
    passes = may_pass(not_told.error)
    given_up: tuple[str, ...] = ()
    for task, job_ids in ids_by_task(not_told.steps).items():
        given_up += yield from ask(
            op.PostponeUntold(
                task=task,
                job_ids=job_ids,
                longest_ms=_LONGEST_OUTAGE_MS if passes else LONGEST_LOOK_MS,
                give_up_ms=None if passes else op.KEEP_STOPPED_MS,
            )
        )
    return given_up


def _settle(workflow_id: str, steps: Sequence[op.EndedStep]) -> Flow[None]:
    results: list[op.StepResult] = []
    failures: list[tuple[int, op.EndedStep]] = []
    for step in steps:
        if step.link is not None and step.state is JobState.COMPLETED:
            results.append(op.StepResult(step=step.link.step, job_id=step.job_id, result=step.result))
        elif step.link is not None and has_to_tell(step):
            failures.append((step.link.step, step))
    if results:
        yield from advance(workflow_id, results)
    for number, step in failures:
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
