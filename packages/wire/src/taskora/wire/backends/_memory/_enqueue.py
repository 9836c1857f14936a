"""enqueue: (none) -> waiting | delayed."""

from taskora.wire._operations import Enqueue, NewJob
from taskora.wire.backends._memory._record import Record, write
from taskora.wire.backends._memory._task import TaskStore


def enqueue(task: TaskStore, operation: Enqueue, now_ms: int) -> tuple[bool, ...]:
    """Creates the jobs whose ids are free."""
    created: list[NewJob] = []
    flags: list[bool] = []
    for job in operation.jobs:
        existing = task.jobs.get(job.job_id)
        if existing is None:
            _create(task, operation, job, now_ms)
            created.append(job)
        flags.append(existing is None or (operation.resend and existing["data"] == job.data))
    if any(job.delay_ms <= 0 for job in created):
        task.marker.set(0)
    elif created:
        task.marker.advance(now_ms + min(job.delay_ms for job in created))
    return tuple(flags)


def _create(task: TaskStore, operation: Enqueue, job: NewJob, now_ms: int) -> None:
    record = task.jobs[job.job_id] = _new_record(operation, job, now_ms)
    if job.delay_ms > 0:
        write(record, state="delayed", delay=job.delay_ms)
        task.delayed.add(job.job_id, now_ms + job.delay_ms)
        task.emit(now_ms, "delayed", job.job_id)
    else:
        task.push_ready(job.job_id, order_ms=now_ms)
        task.emit(now_ms, "waiting", job.job_id)


def _new_record(operation: Enqueue, job: NewJob, now_ms: int) -> Record:
    record: Record = {}
    write(
        record,
        ts=now_ms,
        _v=operation.version,
        attempt=1,
        maxAttempts=operation.max_attempts,
        state="waiting",
        priority=job.priority,
        data=job.data,
    )
    if job.ttl_ms > 0:
        write(record, expireAt=now_ms + job.ttl_ms)
    return record
