"""Within exchange: delayed, retrying -> waiting | expired."""

from typing import Final

from taskora.contracts import JobState
from taskora.wire._operations import Exchange, OnExpire
from taskora.wire.backends._memory._record import number, write
from taskora.wire.backends._memory._task import TaskStore, is_expired

_PROMOTE_LIMIT: Final = 100
_REMAINS_MS: Final = 600_000


def promote_due(task: TaskStore, operation: Exchange, now_ms: int) -> None:
    """Makes due jobs ready, earliest due first."""
    for job_id in task.delayed.take(_PROMOTE_LIMIT, up_to=now_ms):
        task.parking.newer.discard(job_id)
        record = task.jobs.get(job_id)
        if record is None:
            continue  # a ghost: the id was queued, its record is gone
        if is_expired(record, now_ms, default_ttl_ms=operation.ttl_ms):
            expire(task, job_id, operation.on_expire, now_ms)
        else:
            write(record, state="waiting")
            task.push_ready(job_id, order_ms=number(record, "ts"))
            task.emit(now_ms, "promoted", job_id)


def take_newer(task: TaskStore, max_version: int) -> None:
    """Makes ready what older workers left and this one understands."""
    for job_id in task.parking.newer.take(_PROMOTE_LIMIT, up_to=max_version):
        if task.delayed.discard(job_id) and job_id in task.jobs:
            write(task.jobs[job_id], state="waiting")
            task.push_ready(job_id, order_ms=number(task.jobs[job_id], "ts"))


def expire(task: TaskStore, job_id: str, on_expire: OnExpire, now_ms: int) -> None:
    """Ends a job that did not start in time."""
    if on_expire == "discard" and "_wf" not in task.jobs[job_id]:
        task.release_dedup(job_id, now_ms)
        task.erase(job_id)
        task.values.set(f"gone:{job_id}", str(now_ms), now_ms, lasts_ms=_REMAINS_MS)
    else:
        task.finish(job_id, JobState.EXPIRED, now_ms)
    task.emit(now_ms, "expired", job_id)
