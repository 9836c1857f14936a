"""Jobs that are steps of workflows: enqueue_steps, cancel_steps, and the notes of those that have ended."""

from taskora.contracts import JobState
from taskora.contracts.records import record
from taskora.wire import _operations as op
from taskora.wire.backends._memory._creating import create, new_record, wake_for
from taskora.wire.backends._memory._manage import end_or_request
from taskora.wire.backends._memory._record import encoded, link_of, number, state, text, write
from taskora.wire.backends._memory._task import TaskStore


@record(kw_only=False)
class _Dispatch:
    version: int
    max_attempts: int = 1


def enqueue_steps(task: TaskStore, operation: op.EnqueueSteps, now_ms: int) -> tuple[bool, ...]:
    """Creates the jobs whose ids are free."""
    created: list[op.NewJob] = []
    flags: list[bool] = []
    for step in operation.steps:
        is_free = step.job_id not in task.jobs
        if is_free:
            job = op.NewJob(job_id=step.job_id, data=step.data)
            create(task, _Dispatch(operation.version), job, now_ms, _wf=step.workflow_id, _wfNode=step.step)
            created.append(job)
        flags.append(is_free)
    wake_for(task, created, now_ms)
    return tuple(flags)


def cancel_steps(task: TaskStore, operation: op.CancelSteps, now_ms: int) -> tuple[op.CancelReply, ...]:
    """Cancels jobs whose workflow has stopped, or prevents them."""
    return tuple(_cancel_step(task, operation, job_id, now_ms) for job_id in operation.job_ids)


def _cancel_step(task: TaskStore, operation: op.CancelSteps, job_id: str, now_ms: int) -> op.CancelReply:
    found = task.jobs.get(job_id, {})
    lives_in = number(found, "py:try")
    if lives_in > operation.workflow_try:
        return op.CancelReply.ENDED
    if state(found) is JobState.FAILED and lives_in < operation.workflow_try:
        found["py:try"] = encoded(operation.workflow_try)
    reply = end_or_request(task, job_id, operation.reason, now_ms)
    if reply is op.CancelReply.UNKNOWN:
        record = task.jobs[job_id] = new_record(_Dispatch(1), now_ms)
        write(record, state="cancelled", priority=0, data=b"null", finishedOn=now_ms, cancelReason=operation.reason)
        task.finished[JobState.CANCELLED].add(job_id, now_ms)
    return reply


def read_untold(task: TaskStore, operation: op.ReadUntold, now_ms: int) -> tuple[op.EndedStep, ...]:
    """Jobs whose workflows may not know of their ends."""
    old = (job_id for job_id in task.untold if (task.untold.score(job_id) or 0) <= now_ms - operation.min_age_ms)
    return tuple(_ended_step(task, job_id) for job_id in list(old)[: max(operation.limit, 0)])


def read_links(task: TaskStore, operation: op.ReadLinks, _now_ms: int) -> tuple[op.StepLink | None, ...]:
    """Of which workflows jobs are steps."""
    return tuple(link_of(task.jobs.get(job_id, {})) for job_id in operation.job_ids)


def _ended_step(task: TaskStore, job_id: str) -> op.EndedStep:
    record = task.jobs.get(job_id, {})
    return op.EndedStep(
        task=task.name,
        job_id=job_id,
        link=link_of(record),
        state=state(record),
        result=record.get("result", b""),
        error=text(record, "error"),
        cancel_reason=text(record, "cancelReason"),
        settled_by=text(record, "py:settledBy"),
    )


def forget_untold(task: TaskStore, operation: op.ForgetUntold, _now_ms: int) -> int:
    """Crosses notes out."""
    return sum(task.untold.discard(job_id) for job_id in operation.job_ids)


def postpone_untold(task: TaskStore, operation: op.PostponeUntold, now_ms: int) -> tuple[str, ...]:
    """Puts notes off, by when their jobs ended."""
    given_up: list[str] = []
    for job_id in operation.job_ids:
        if job_id not in task.untold:
            continue
        record = task.jobs.get(job_id, {})
        if "finishedOn" not in record:
            task.untold.discard(job_id)
            continue
        age_ms = now_ms - number(record, "finishedOn")
        if operation.give_up_ms is not None and age_ms >= operation.give_up_ms:
            task.untold.discard(job_id)
            given_up.append(job_id)
        else:
            pause_ms = min(max(age_ms // 4, operation.shortest_ms), operation.longest_ms)
            task.untold.add(job_id, now_ms + pause_ms)
    return tuple(given_up)


def tell_workflow_end(task: TaskStore, operation: op.TellWorkflowEnd, now_ms: int) -> bool:
    """An event in the place of a job's."""
    task.emit(now_ms, "workflow", operation.workflow_id, state=operation.state)
    return True
