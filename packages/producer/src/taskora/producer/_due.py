"""When a schedule is due. Instants are epoch milliseconds unless they are datetimes."""

from datetime import UTC, datetime
from typing import Final, cast
from zoneinfo import ZoneInfo

from taskora.contracts import Schedule, UsageError
from taskora.producer._occurrences import (
    from_epoch_ms,
    last_crons,
    last_intervals,
    next_cron,
    next_interval,
    to_epoch_ms,
)

MOST_RUNS: Final = 1000


def first_due(schedule: Schedule, now_ms: int) -> int | None:
    """When a schedule that begins now is due first; None when it never is."""
    if schedule.every_ms is None:
        return due_after(schedule, now_ms, due_ms=now_ms)
    start_ms = now_ms + schedule.every_ms if schedule.start is None else to_epoch_ms(schedule.start)
    return _bounded(schedule, start_ms) if start_ms > now_ms else due_after(schedule, now_ms, due_ms=start_ms)


def due_after(schedule: Schedule, after_ms: int, *, due_ms: int) -> int | None:
    """When a schedule is due next, after an instant; None when it is over.

    Args:
        schedule: The schedule.
        after_ms: The instant.
        due_ms: Any instant at which it was or will be due: intervals are counted from there.
    """
    if schedule.start is not None:
        after_ms = max(after_ms, to_epoch_ms(schedule.start) - 1)
    if schedule.every_ms is not None:
        return _bounded(schedule, next_interval(schedule.every_ms, of_ms=due_ms, after_ms=after_ms))
    return _bounded(schedule, next_cron(schedule.cron or "", _zone(schedule), after_ms=after_ms))


def due_until(schedule: Schedule, now_ms: int, *, due_ms: int) -> list[int]:
    """Which runs are to be made up for when it was due at `due_ms`, as `on_missed` says, oldest first."""
    if due_ms > now_ms or _bounded(schedule, due_ms) is None:
        return []
    until_ms = now_ms if schedule.end is None else min(now_ms, to_epoch_ms(schedule.end))
    limit = schedule.most_missed
    if schedule.every_ms is not None:
        return last_intervals(schedule.every_ms, of_ms=due_ms, until_ms=until_ms, limit=limit)
    found = last_crons(schedule.cron or "", _zone(schedule), from_ms=due_ms, until_ms=until_ms, limit=limit)
    # Somebody else may have said when it is due: that counts even if the expression does not name it.
    return found or [due_ms]


def next_runs(schedule: Schedule, count: int, *, after: datetime | None = None) -> list[datetime]:
    """The next instants at which a schedule is due, in its zone, as if it began at `after`, by default now.

    Fewer than `count` when it is over before. Asks no server.

    Raises:
        UsageError: The count is no integer from 1 to 1000, or `after` has no zone.
    """
    begin = cast("object", datetime.now(UTC) if after is None else after)
    if not isinstance(begin, datetime) or begin.utcoffset() is None:
        raise UsageError.for_field("after", after, "a datetime with a time zone")
    return runs_from(schedule, first_due(schedule, to_epoch_ms(begin)), count)


def runs_from(schedule: Schedule, due_ms: int | None, count: int) -> list[datetime]:
    """The run that is due at an instant, and those after it, at most `count` in all.

    Raises:
        UsageError: The count is no integer from 1 to 1000.
    """
    if isinstance(count, bool) or not isinstance(cast("object", count), int) or not 1 <= count <= MOST_RUNS:
        raise UsageError.for_field("count", count, f"an integer from 1 to {MOST_RUNS}")
    runs: list[datetime] = []
    while due_ms is not None and len(runs) < count:
        runs.append(in_zone(schedule, due_ms))
        due_ms = due_after(schedule, due_ms, due_ms=due_ms)
    return runs


def in_zone(schedule: Schedule, instant_ms: int) -> datetime:
    """An instant as clocks of a schedule's zone show it."""
    return from_epoch_ms(instant_ms, _zone(schedule))


def _zone(schedule: Schedule) -> ZoneInfo:
    return ZoneInfo(schedule.timezone or "UTC")


def _bounded(schedule: Schedule, due_ms: int | None) -> int | None:
    if due_ms is None or schedule.end is None or due_ms <= to_epoch_ms(schedule.end):
        return due_ms
    return None
