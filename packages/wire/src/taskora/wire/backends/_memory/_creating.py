"""New jobs: their records, and their places among the ready or the delayed ones."""

from collections.abc import Iterable
from typing import Protocol

from taskora.wire._operations import NewJob
from taskora.wire.backends._memory._record import Record, Value, write
from taskora.wire.backends._memory._task import TaskStore


class Dispatch(Protocol):
    """What all jobs of one request have in common."""

    @property
    def version(self) -> int: ...
    @property
    def max_attempts(self) -> int: ...


def new_record(dispatch: Dispatch, now_ms: int) -> Record:
    """What every new record holds."""
    record: Record = {}
    write(record, ts=now_ms, _v=dispatch.version, attempt=1, maxAttempts=dispatch.max_attempts)
    return record


def create(
    task: TaskStore, dispatch: Dispatch, job: NewJob, now_ms: int, *, lifo: bool = False, **extra: Value
) -> None:
    """Stores a job, with further fields if there are any."""
    record = task.jobs[job.job_id] = new_record(dispatch, now_ms)
    write(record, state="waiting", priority=job.priority, data=job.data, **extra)
    if job.ttl_ms > 0:
        write(record, expireAt=now_ms + job.ttl_ms)
    if job.delay_ms > 0:
        write(record, state="delayed", delay=job.delay_ms)
        task.delayed.add(job.job_id, now_ms + job.delay_ms)
        task.emit(now_ms, "delayed", job.job_id)
    else:
        task.push_new(job.job_id, order_ms=now_ms, lifo=lifo)
        task.emit(now_ms, "waiting", job.job_id)


def wake_for(task: TaskStore, created: Iterable[NewJob], now_ms: int) -> None:
    """Tells a waiting worker of new jobs."""
    delays = [job.delay_ms for job in created]
    if any(delay_ms <= 0 for delay_ms in delays):
        task.marker.set(0)
    elif delays:
        task.marker.advance(now_ms + min(delays))
