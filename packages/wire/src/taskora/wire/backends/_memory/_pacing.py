"""How fast jobs may start: at most so many in any window of time, and only one of a singleton."""

from typing import Final

from taskora.contracts.records import record
from taskora.wire._operations import Claim, Exchange, Pace, ReserveStart
from taskora.wire.backends._memory._task import TaskStore

_SINGLETON_PAUSE_MS: Final = 1000
_REMEMBERED_MS: Final = 60_000


@record(kw_only=False)
class Allowance:
    """How many jobs may start, and until when none may."""

    slots: int
    until_ms: int | None = None


def allowed(task: TaskStore, pace: Pace, slots: int, now_ms: int) -> Allowance:
    """What a pace leaves of some slots."""
    if pace.singleton:
        slots = min(slots, 1)
        if slots > 0 and task.anything_runs(now_ms):
            return Allowance(0, now_ms + _SINGLETON_PAUSE_MS)
    if pace.max > 0 and slots > 0:
        starts = task.starts.of(pace.key, now_ms)
        starts.take(len(starts), up_to=now_ms - pace.window_ms)
        slots = min(slots, pace.max - len(starts))
        first = starts.first()
        if slots <= 0 and first is not None:
            until_ms = int(first[0]) + pace.window_ms
            task.values.set("parked:until", str(until_ms), now_ms, lasts_ms=max(1, until_ms - now_ms))
            return Allowance(0, until_ms)
    return Allowance(slots)


def count_starts(task: TaskStore, operation: Exchange, claims: list[Claim], now_ms: int) -> None:
    """Remembers that jobs started."""
    pace = operation.pace
    if pace.max == 0 or not claims:
        return
    starts = task.starts.of(pace.key, now_ms)
    for claim in claims:
        starts.add(f"{operation.token}:{claim.job_id}", now_ms)
    task.starts.keep(pace.key, now_ms + pace.window_ms)


def reserve_start(task: TaskStore, operation: ReserveStart, now_ms: int) -> int:
    """Gives an attempt the first instant at which its key may start one more."""
    starts = task.starts.of(operation.key, now_ms)
    reserved = starts.score(operation.start_id)
    if reserved is not None:
        return max(0, int(reserved) - now_ms)
    starts.take(len(starts), up_to=now_ms - operation.window_ms)
    start_ms = now_ms
    if len(starts) >= operation.max:
        leaving = starts.page(len(starts) - operation.max, 1)[0]
        start_ms = max(now_ms, int(starts.score(leaving) or 0) + operation.window_ms)
    starts.add(operation.start_id, start_ms)
    task.starts.keep(operation.key, start_ms + operation.window_ms + _REMEMBERED_MS)
    return start_ms - now_ms
