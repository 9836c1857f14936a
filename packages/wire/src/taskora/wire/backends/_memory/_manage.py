"""cancel, retry_dead, remove_finished, prune: what people and retention do to jobs."""

from typing import Final

from taskora.contracts import JobState
from taskora.wire._operations import Cancel, CancelReply, Prune, Pruned, RemoveFinished, RetryDead, Revived
from taskora.wire.backends._memory._record import encoded, forget, number, state, text, write
from taskora.wire.backends._memory._remembering import recall, remember
from taskora.wire.backends._memory._slots import concurrency_key, free_next
from taskora.wire.backends._memory._task import TaskStore

_OF_AN_OLD_LIFE: Final = (
    "error",
    "finishedOn",
    "result",
    "cancelledAt",
    "cancelReason",
    "stalledCount",
)


def cancel(task: TaskStore, operation: Cancel, now_ms: int) -> CancelReply:
    """Cancels a job that waits; asks the worker of one that runs."""
    reply = end_or_request(task, operation.job_id, operation.reason, now_ms)
    if reply is CancelReply.CANCELLED:
        task.note_end(operation.job_id, now_ms)
    elif reply is CancelReply.ENDED and operation.resend:
        record = task.jobs[operation.job_id]
        if state(record) is JobState.CANCELLED and text(record, "cancelReason") == operation.reason:
            return CancelReply.CANCELLED
    return reply


def end_or_request(task: TaskStore, job_id: str, reason: str, now_ms: int) -> CancelReply:
    """What `cancel` does, without a note for the job's workflow."""
    record = task.jobs.get(job_id)
    found = None if record is None else state(record)
    if record is None or found is None:
        return CancelReply.UNKNOWN
    if found.is_terminal:
        return CancelReply.ENDED
    if reason:
        write(record, cancelReason=reason)
    if found is JobState.ACTIVE:
        write(record, cancelledAt=now_ms)
        task.publish_cancellation(job_id)
        return CancelReply.REQUESTED
    _withdraw(task, job_id)
    task.finish(job_id, JobState.CANCELLED, now_ms, is_noted=False)
    task.emit(now_ms, "cancelled", job_id, reason=reason)
    return CancelReply.CANCELLED


def _withdraw(task: TaskStore, job_id: str) -> None:
    key = concurrency_key(task.jobs[job_id])
    task.waiting.pop(job_id, None)
    task.delayed.discard(job_id)
    task.parking.newer.discard(job_id)
    if task.prioritized.discard(job_id) or task.parking.discard_freed(job_id):
        if key and free_next(task, key):
            task.marker.set(0)
    elif key:
        task.parking.unpark(job_id, key)


def retry_dead(task: TaskStore, operation: RetryDead, now_ms: int) -> Revived:
    """Puts failed jobs back, as if they were new."""
    answered = recall(task, operation.request, now_ms) if operation.resend and operation.request else None
    if answered is not None:
        told_revived, told_steps = answered.split("|")
        return Revived(job_ids=tuple(told_revived.split()), steps=tuple(told_steps.split()))
    dead = task.finished[JobState.FAILED]
    ids = operation.job_ids or dead.page(operation.offset, max(operation.limit, 0))
    revived: list[str] = []
    steps: list[str] = []
    for job_id in [job_id for job_id in ids if job_id in dead]:
        if operation.workflow_try is None and text(task.jobs[job_id], "_wf"):
            steps.append(job_id)
        elif _is_due(task, job_id, operation.workflow_try or 0) and dead.discard(job_id):
            _revive(task, job_id, operation.workflow_try or 0, now_ms)
            revived.append(job_id)
    if revived:
        task.marker.set(0)
    if operation.request:
        remember(task, operation.request, f"{' '.join(revived)}|{' '.join(steps)}", now_ms)
    return Revived(job_ids=tuple(revived), steps=tuple(steps))


def _is_due(task: TaskStore, job_id: str, workflow_try: int) -> bool:
    return workflow_try == 0 or number(task.jobs[job_id], "py:try") < workflow_try


def _revive(task: TaskStore, job_id: str, workflow_try: int, now_ms: int) -> None:
    record = task.jobs[job_id]
    forget(record, *_OF_AN_OLD_LIFE)
    write(record, state="waiting", attempt=1, ts=now_ms)
    if workflow_try > 0:
        record["py:try"] = encoded(workflow_try)
    task.push_ready(job_id, order_ms=now_ms)
    task.emit(now_ms, "waiting", job_id)
    task.untold.discard(job_id)


def remove_finished(task: TaskStore, operation: RemoveFinished, now_ms: int) -> bool:
    """Deletes one ended job."""
    if operation.resend and operation.request and recall(task, operation.request, now_ms) is not None:
        return True
    found = task.finished[operation.state].discard(operation.job_id)
    if found:
        task.erase(operation.job_id)
        if operation.request:
            remember(task, operation.request, "1", now_ms)
    return found


def prune(task: TaskStore, operation: Prune, now_ms: int) -> Pruned:
    """Deletes ended jobs by age, then by number; not those whose workflow does not know yet that they have ended."""
    ended, first = task.finished[operation.state], operation.cursor
    due = 0 if operation.max_age_ms is None else ended.count(up_to=now_ms - operation.max_age_ms)
    if operation.max_items is not None:
        due = max(due, len(ended) - operation.max_items)
    due = min(due, ended.count(up_to=now_ms - operation.spared_ms))
    last = min(due, first + operation.limit)
    job_ids = ended.page(first, last - first) if first < last else []
    removed = [job_id for job_id in job_ids if job_id not in task.untold]
    for job_id in removed:
        ended.discard(job_id)
        task.erase(job_id)
    has_more = bool(job_ids) and last < due
    return Pruned(removed=len(removed), cursor=first + len(job_ids) - len(removed) if has_more else None)
