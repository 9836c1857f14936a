"""What the worker that runs a job does meanwhile (extend_leases, report), and what happens when it is gone."""

from typing import Final

from taskora.contracts import JobState
from taskora.wire._operations import ExtendLeases, Lease, LeaseState, Recovered, RecoverStalled, Report
from taskora.wire.backends._memory._record import number, write
from taskora.wire.backends._memory._slots import recount, release_slot
from taskora.wire.backends._memory._task import StoredLease, TaskStore

_STALLED: Final = "Job stalled and exceeded max stalled count"
_COUNTED: Final = "parked:counted"


def extend_leases(task: TaskStore, operation: ExtendLeases, now_ms: int) -> tuple[LeaseState, ...]:
    """Renews leases from now."""
    return tuple(_extend(task, lease, operation.lease_ms, now_ms) for lease in operation.leases)


def _extend(task: TaskStore, lease: Lease, lease_ms: int, now_ms: int) -> LeaseState:
    if not task.holds_lease(lease.job_id, lease.token, now_ms):
        return LeaseState.LOST
    task.leases[lease.job_id] = StoredLease(lease.token, now_ms + lease_ms)
    task.stalled.discard(lease.job_id)
    cancelled = "cancelledAt" in task.jobs.get(lease.job_id, ())
    return LeaseState.CANCEL_REQUESTED if cancelled else LeaseState.HELD


def report(task: TaskStore, operation: Report, now_ms: int) -> tuple[bool, ...]:
    """Writes progress and logs of jobs whose lease still holds."""
    written: list[bool] = []
    for entry in operation.entries:
        held = task.holds_lease(entry.job_id, entry.token, now_ms)
        written.append(held)
        if held and entry.kind == "progress":
            write(task.jobs[entry.job_id], progress=entry.payload)
            task.emit(now_ms, "progress", entry.job_id, value=entry.payload)
        elif held:
            task.add_log(entry.job_id, entry.payload)
    return tuple(written)


def recover_stalled(task: TaskStore, operation: RecoverStalled, now_ms: int) -> Recovered:
    """Gives back what was active at the previous sweep and has lost its lease, oldest claim first; all in one call."""
    if operation.cursor:
        return Recovered(recovered=(), failed=(), cancelled=())
    recovered: list[str] = []
    failed: list[str] = []
    cancelled: list[str] = []
    for job_id in [job_id for job_id in task.active if job_id in task.stalled]:
        if task.is_leased(job_id, now_ms):
            continue
        del task.active[job_id]
        record = task.jobs.get(job_id)
        if record is None:
            continue  # deleted while it ran
        if release_slot(task, record):
            task.marker.set(0)
        if "cancelledAt" in record:
            cancelled.append(job_id)
            _cancel(task, job_id, now_ms)
        elif _count_stall(task, job_id) > operation.max_count:
            failed.append(job_id)
            _fail(task, job_id, now_ms)
        else:
            recovered.append(job_id)
            _give_back(task, job_id, now_ms)
    _recount(task, operation.count_every_ms, now_ms)
    task.stalled = set(task.active)
    return Recovered(recovered=tuple(recovered), failed=tuple(failed), cancelled=tuple(cancelled))


def _recount(task: TaskStore, every_ms: int, now_ms: int) -> None:
    counted = task.values.get(_COUNTED, now_ms)
    if every_ms and counted is not None and int(counted) <= now_ms < int(counted) + every_ms:
        return  # somebody has done so lately
    recount(task)
    if every_ms:
        task.values.set(_COUNTED, str(now_ms), now_ms, lasts_ms=every_ms)


def _count_stall(task: TaskStore, job_id: str) -> int:
    count = number(task.jobs[job_id], "stalledCount") + 1
    write(task.jobs[job_id], stalledCount=count)
    return count


def _cancel(task: TaskStore, job_id: str, now_ms: int) -> None:
    task.finish(job_id, JobState.CANCELLED, now_ms)
    task.emit(now_ms, "cancelled", job_id, reason=task.jobs[job_id].get("cancelReason", b""))


def _fail(task: TaskStore, job_id: str, now_ms: int) -> None:
    record = task.jobs[job_id]
    task.finish(job_id, JobState.FAILED, now_ms, error=_STALLED)
    task.emit(now_ms, "stalled", job_id, count=record["stalledCount"], action="failed")
    task.emit(now_ms, "failed", job_id, attempt=record["attempt"], error=_STALLED)


def _give_back(task: TaskStore, job_id: str, now_ms: int) -> None:
    record = task.jobs[job_id]
    write(record, state="waiting")
    task.push_ready(job_id, order_ms=number(record, "ts"))
    task.marker.set(0)
    task.emit(now_ms, "stalled", job_id, count=record["stalledCount"], action="recovered")
