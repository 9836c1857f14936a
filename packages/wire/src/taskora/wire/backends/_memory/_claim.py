"""The second half of exchange: delayed, retrying -> waiting | expired;  waiting -> active | expired."""

from collections.abc import Callable
from typing import Final

from taskora.contracts import JobState
from taskora.wire._operations import Claim, Exchange, OnExpire
from taskora.wire.backends._memory._record import Record, forget, number, write
from taskora.wire.backends._memory._task import StoredLease, TaskStore, is_expired

_PROMOTE_LIMIT: Final = 100
_EXTRA_TRIES: Final = 100


def promote_due(task: TaskStore, on_expire: OnExpire, now_ms: int) -> None:
    """Makes due jobs ready, earliest due first."""
    for job_id in task.delayed.take(_PROMOTE_LIMIT, up_to=now_ms):
        record = task.jobs.get(job_id)
        if record is None:
            continue  # a ghost: the id was queued, its record is gone
        if is_expired(record, now_ms):
            _expire(task, job_id, on_expire, now_ms)
        else:
            write(record, state="waiting")
            task.push_ready(job_id, order_ms=number(record, "ts"))
            task.emit(now_ms, "promoted", job_id)


def reclaim_own(task: TaskStore, token: str, now_ms: int) -> list[Claim]:
    """The claims of an earlier execution of the same call, whose reply was lost."""
    own = [job_id for job_id in task.active if task.holds_lease(job_id, token, now_ms)]
    return [_claim(job_id, task.jobs[job_id], token) for job_id in own]


def claim_ready(task: TaskStore, operation: Exchange, claims: list[Claim], now_ms: int) -> None:
    """Adds ready jobs to `claims` until all slots are taken; passes over a bounded number that cannot run."""
    for pop in (task.pop_prioritized, task.pop_waiting):
        _claim_from(pop, task, operation, claims, now_ms)


def _claim_from(
    pop: Callable[[], str | None], task: TaskStore, operation: Exchange, claims: list[Claim], now_ms: int
) -> None:
    for _ in range(operation.slots + _EXTRA_TRIES):
        job_id = pop() if len(claims) < operation.slots else None
        if job_id is None:
            return
        record = task.jobs.get(job_id)
        if record is None:
            continue  # a ghost
        if is_expired(record, now_ms):
            _expire(task, job_id, operation.on_expire, now_ms)
        else:
            claims.append(_start(task, job_id, operation, now_ms))


def _start(task: TaskStore, job_id: str, operation: Exchange, now_ms: int) -> Claim:
    record = task.jobs[job_id]
    forget(record, "expireAt")
    task.active[job_id] = None
    task.leases[job_id] = StoredLease(operation.token, now_ms + operation.lease_ms)
    write(record, state="active", processedOn=now_ms)
    task.emit(now_ms, "active", job_id, attempt=record["attempt"])
    return _claim(job_id, record, operation.token)


def _claim(job_id: str, record: Record, token: str) -> Claim:
    return Claim(
        job_id=job_id,
        token=token,
        data=record["data"],
        version=number(record, "_v"),
        attempt=number(record, "attempt"),
        timestamp_ms=number(record, "ts"),
    )


def _expire(task: TaskStore, job_id: str, on_expire: OnExpire, now_ms: int) -> None:
    if on_expire == "discard":
        task.erase(job_id)
    else:
        task.finish(job_id, JobState.EXPIRED, now_ms)
    task.emit(now_ms, "expired", job_id)
