"""exchange: settles attempts that ended, promotes due jobs, and claims ready ones."""

from taskora.contracts import BackendError
from taskora.wire._operations import Exchange, Exchanged
from taskora.wire.backends._memory._claim import Claiming, reclaim_own
from taskora.wire.backends._memory._pacing import allowed, count_starts
from taskora.wire.backends._memory._promote import promote_due, take_newer
from taskora.wire.backends._memory._settle import settle
from taskora.wire.backends._memory._slots import recheck_parked
from taskora.wire.backends._memory._task import TaskStore


def exchange(task: TaskStore, operation: Exchange, now_ms: int) -> Exchanged:
    """Settles, promotes and claims, in this order."""
    if operation.lease_ms < 1:
        raise BackendError(f"lease_ms must be at least 1, got {operation.lease_ms}: nothing was settled or claimed")
    settlements = tuple(settle(task, outcome, now_ms, resend=operation.resend) for outcome in operation.outcomes)
    promote_due(task, operation, now_ms)
    if task.parking:
        take_newer(task, operation.max_version)
        recheck_parked(task, operation.key_limit, now_ms)
    claims = reclaim_own(task, operation.token, operation.lease_ms, now_ms) if operation.resend else []
    reclaimed = len(claims)
    allowance = allowed(task, operation.pace, operation.slots - reclaimed, now_ms)
    Claiming(task, operation, claims, allowance.slots + reclaimed, now_ms).claim()
    count_starts(task, operation, claims[reclaimed:], now_ms)
    next_due = task.delayed.first()
    due_ms = None if next_due is None else int(next_due[0])
    if task.has_ready():
        task.marker.set(allowance.until_ms or 0)
    elif due_ms is not None:
        task.marker.set(due_ms)
    return Exchanged(now_ms=now_ms, due_ms=due_ms, settlements=settlements, claims=tuple(claims))
