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
from taskora.contracts.records import record, replace
from taskora.wire import _operations as op
from taskora.wire._flows import Flow, ask, may_pass
from taskora.wire._job import JobStatus
from taskora.wire._workflow_graph import WorkflowGraph

FIRST_LOOK_MS: Final = 30_000
LONGEST_LOOK_MS: Final = 600_000
TIMED_OUT: Final = "workflow timeout"
# Who cancels may die before all jobs are: somebody shall look soon.
STOPPING_LOOK_MS: Final = 5_000

# A server that is back is not to be kept waiting.
_LONGEST_OUTAGE_MS: Final = 30_000
_ENQUEUED_AT_ONCE: Final = 1000
_ENQUEUED_BYTES: Final = 8 * 1_048_576
_CANCELLED_AT_ONCE: Final = 500
_READ_AT_ONCE: Final = 500


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


@record
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
            told += yield from _settle(workflow_id, steps)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one workflow concerns no other
            not_told.append(NotTold(workflow_id=workflow_id, steps=tuple(steps), error=error))
    yield from _forget(told)
    return tuple(not_told)


def settle_workflow(workflow_id: str, ended: Sequence[op.EndedStep]) -> Flow[None]:
    """As `settle_steps`, of one workflow; raises what keeps it from being told."""
    yield from _forget((yield from _settle(workflow_id, ended)))


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


def _as_they_are_now(ended: Sequence[op.EndedStep]) -> Flow[Sequence[op.EndedStep]]:
    """What has not completed may have been revived since the caller heard of its end: then that end counts no more."""
    not_completed = [step for step in ended if step.state is not JobState.COMPLETED]
    found: dict[tuple[str, str], JobStatus | None] = {}
    for task, job_ids in ids_by_task(not_completed).items():
        for start in range(0, len(job_ids), _READ_AT_ONCE):
            batch = job_ids[start : start + _READ_AT_ONCE]
            statuses = yield from ask(op.ReadStatuses(task=task, job_ids=batch))
            found.update(zip(((task, job_id) for job_id in batch), statuses, strict=True))
    now = [(step, found.get((step.task, step.job_id))) for step in ended]
    return [_as_it_is(step, status) for step, status in now if status is None or status.state.is_terminal]


def _as_it_is(step: op.EndedStep, status: JobStatus | None) -> op.EndedStep:
    if status is None:
        return step
    return replace(
        step,
        state=status.state,
        result=status.result or b"",
        error=status.error or "",
        cancel_reason=status.cancel_reason or "",
        workflow_try=status.workflow_try,
        settled_by=status.settled_by,
    )


def _settle(workflow_id: str, steps: Sequence[op.EndedStep]) -> Flow[Sequence[op.EndedStep]]:
    """Tells a workflow; the reply is what it knows of now."""
    steps = yield from _as_they_are_now(steps)
    results: list[op.StepResult] = []
    failures: list[tuple[int, op.EndedStep]] = []
    for step in steps:
        if step.link is not None and step.state is JobState.COMPLETED:
            number, settled_by = step.link.step, step.settled_by
            results.append(op.StepResult(step=number, job_id=step.job_id, result=step.result, settled_by=settled_by))
        elif step.link is not None and has_to_tell(step):
            failures.append((step.link.step, step))
    if results:
        yield from advance(workflow_id, results)
    for number, step in failures:
        yield from _fail(workflow_id, number, step)
    return steps


def advance(workflow_id: str, results: Sequence[op.StepResult]) -> Flow[None]:
    """Notes results, and enqueues what they make possible."""
    reply = yield from ask(op.AdvanceWorkflow(workflow_id=workflow_id, results=results))
    yield from enqueue_steps(reply.ready)
    if reply.state == "completed":
        yield from file_workflow(workflow_id, "completed", reply.told_in, None)


def _fail(workflow_id: str, number: int, step: op.EndedStep) -> Flow[None]:
    state: op.StoppedState = "failed"
    if step.state is JobState.CANCELLED:
        state, message = "cancelled", step.cancel_reason or f"step {number}, {step.task}, was cancelled"
    elif step.state is JobState.EXPIRED:
        message = f"step {number}, {step.task}, did not start within its time to live"
    else:
        message = step.error or f"step {number}, {step.task}, failed"
    failure = op.StopWorkflow(
        workflow_id=workflow_id,
        state=state,
        message=message,
        step=number,
        job_id=step.job_id,
        job_try=step.workflow_try,
    )
    reply, _ = yield from stop(failure)
    if reply.revives_in:  # whoever lets the workflow run again did not come to this yet
        yield from ask(op.RetryDead(task=step.task, job_ids=(step.job_id,), workflow_try=reply.revives_in))


def stop(operation: op.StopWorkflow) -> Flow[tuple[op.Stopped, bool]]:
    """Ends a workflow and cancels its jobs; tells where it stands then, and whether nothing is left to be done for it.

    The latter is false if another try was announced meanwhile.
    """
    reply = yield from ask(operation)
    if not reply.told_in or reply.state not in ("failed", "cancelled"):
        return reply, reply.state is None
    yield from cancel_steps(reply.jobs, reason_of(reply.state, operation.message), reply.workflow_try)
    is_filed = yield from file_workflow(operation.workflow_id, reply.state, reply.told_in, reply.workflow_try)
    return reply, is_filed


def reason_of(state: op.StoppedState, message: str) -> str:
    """Why the jobs of a workflow that has stopped are cancelled."""
    return "workflow failed" if state == "failed" else message or "workflow cancelled"


def cancel_steps(jobs: Sequence[tuple[str, str]], reason: str, workflow_try: int) -> Flow[None]:
    """Cancels jobs, each given as task and id, of a try of a workflow that has stopped, in as few calls as possible."""
    by_task: dict[str, list[str]] = {}
    # Later steps first: they are likely to wait, and would start in the places of those that are stopped.
    for task, job_id in reversed(jobs):
        by_task.setdefault(task, []).append(job_id)
    for task, job_ids in by_task.items():
        for start in range(0, len(job_ids), _CANCELLED_AT_ONCE):
            batch = job_ids[start : start + _CANCELLED_AT_ONCE]
            yield from ask(op.CancelSteps(task=task, job_ids=batch, reason=reason, workflow_try=workflow_try))


def cancel_workflow(workflow_id: str, reason: str) -> Flow[bool]:
    """Cancels a workflow and all its jobs; false when it has ended, or never was."""
    before = yield from ask(op.ReadWorkflow(workflow_id=workflow_id, names=("state",)))
    was_running = before.values.get("state") == b"running"
    if was_running:
        yield from ask(op.RememberWorkflow(workflow_id=workflow_id, look_ms=STOPPING_LOOK_MS))
    reply, _ = yield from stop(op.StopWorkflow(workflow_id=workflow_id, state="cancelled", message=reason))
    return reply.state == "cancelled" and was_running


def time_out(workflow_id: str, workflow_try: int) -> Flow[None]:
    """Cancels a workflow whose time is over, if it still is in the try whose time that was."""
    yield from ask(op.RememberWorkflow(workflow_id=workflow_id, look_ms=STOPPING_LOOK_MS))
    timeout = op.StopWorkflow(workflow_id=workflow_id, state="cancelled", message=TIMED_OUT, workflow_try=workflow_try)
    yield from stop(timeout)


def file_workflow(workflow_id: str, state: op.WorkflowState, told_in: str, workflow_try: int | None) -> Flow[bool]:
    """Nothing is left to be done: tells those who wait, and takes the workflow off the list.

    With the try that has stopped, only if no later one was announced; false if one was.
    """
    if told_in:
        yield from ask(op.TellWorkflowEnd(task=told_in, workflow_id=workflow_id, state=state))
    return (yield from ask(op.FileWorkflow(workflow_id=workflow_id, workflow_try=workflow_try)))
