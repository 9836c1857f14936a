"""When something that recurs is due: instants of intervals and of cron expressions, in a time zone.

Instants are epoch milliseconds. A wall-clock time that a zone skips counts as the instant at which it would have been
without the change: 02:30 becomes 03:30. One that a zone repeats counts once, the first time, unless the expression
names every hour: then it is about intervals, and the second time counts as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import MAXYEAR, UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from taskora.producer._wall_times import WallTimes, wall_times

# Longer than any zone ever moved its clocks at once.
_CHANGE: Final = timedelta(hours=25)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_FIRST_WINDOW_MS: Final = 60_000


def to_epoch_ms(instant: datetime) -> int:
    """An instant, with its zone, as epoch milliseconds."""
    return (instant - _EPOCH) // _MILLISECOND


def from_epoch_ms(instant_ms: int, zone: ZoneInfo | timezone = UTC) -> datetime:
    """Epoch milliseconds as an instant in a zone."""
    return (_EPOCH + timedelta(milliseconds=instant_ms)).astimezone(zone)


def next_interval(every_ms: int, *, of_ms: int, after_ms: int) -> int:
    """The first instant after `after_ms` that is a whole number of intervals away from `of_ms`."""
    return after_ms + every_ms - (after_ms - of_ms) % every_ms


def last_intervals(every_ms: int, *, of_ms: int, until_ms: int, limit: int) -> list[int]:
    """The last `limit` instants from `of_ms` to `until_ms`, oldest first."""
    count = (until_ms - of_ms) // every_ms + 1
    return [of_ms + every_ms * number for number in range(max(0, count - limit), count)]


def next_cron(cron: str, zone: ZoneInfo, *, after_ms: int) -> int | None:
    """The first instant after `after_ms`; None when there is none in 50 years, or calendars end before."""
    times, after = wall_times(cron), from_epoch_ms(after_ms)
    if after.year == MAXYEAR:
        return None
    wall = after.astimezone(zone).replace(tzinfo=None, fold=0)
    found = list(_ahead(times, zone, wall, after))
    if len({_offset(zone, after + away) for away in (-_CHANGE, timedelta(0), _CHANGE)}) > 1:
        found += _skipped(times, zone, wall, after)
        if times.every_hour:
            found += _repeated(times, zone, wall, after)
    return to_epoch_ms(min(found)) if found else None


def last_crons(cron: str, zone: ZoneInfo, *, from_ms: int, until_ms: int, limit: int) -> list[int]:
    """The last `limit` instants from `from_ms` to `until_ms`, oldest first.

    Mostly there are no more than are wanted. Else it looks back in windows that double, so that a long absence costs
    no more than the instants that are wanted.
    """
    first = list(islice(_between(cron, zone, from_ms, until_ms), limit + 1))
    if len(first) <= limit:
        return first
    window_ms = _FIRST_WINDOW_MS
    while True:
        start_ms = max(from_ms, until_ms - window_ms)
        found = list(_between(cron, zone, start_ms, until_ms))
        if start_ms == from_ms or len(found) >= limit:
            return found[-limit:]
        window_ms *= 2


def _between(cron: str, zone: ZoneInfo, start_ms: int, until_ms: int) -> Iterator[int]:
    instant_ms = next_cron(cron, zone, after_ms=start_ms - 1)
    while instant_ms is not None and instant_ms <= until_ms:
        yield instant_ms
        instant_ms = next_cron(cron, zone, after_ms=instant_ms)


def _ahead(times: WallTimes, zone: ZoneInfo, wall: datetime, after: datetime) -> Iterator[datetime]:
    """Wall-clock times from now on, up to the first that exists; those of a gap may come after it."""
    candidate = times.after(wall)
    while candidate is not None:
        instant = _instant(candidate, zone)
        if instant > after:
            yield instant
            if not _is_skipped(candidate, zone):
                return
        candidate = times.after(candidate)


def _skipped(times: WallTimes, zone: ZoneInfo, wall: datetime, after: datetime) -> Iterator[datetime]:
    """The next wall-clock time of a gap that has just been."""
    gap = _offset(zone, after) - _offset(zone, after - _CHANGE)
    if gap > timedelta(0):
        candidate = times.after(wall - gap)
        if candidate is not None and _is_skipped(candidate, zone) and _instant(candidate, zone) > after:
            yield _instant(candidate, zone)


def _repeated(times: WallTimes, zone: ZoneInfo, wall: datetime, after: datetime) -> Iterator[datetime]:
    """The next wall-clock time that comes for the second time, if its first time has been."""
    back = max(_offset(zone, after) - _offset(zone, after + _CHANGE), timedelta(0))
    if back and _offset(zone, after + back) == _offset(zone, after):
        return  # what will be repeated comes for the first time first
    candidate = times.after(wall - back)
    while candidate is not None:
        first, second = _instant(candidate, zone), _instant(candidate, zone, fold=1)
        if second > first and second > after:
            yield second
            return
        if candidate > wall:
            return
        candidate = times.after(candidate)


def _instant(wall: datetime, zone: ZoneInfo, *, fold: int = 0) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _is_skipped(wall: datetime, zone: ZoneInfo) -> bool:
    return _instant(wall, zone) > _instant(wall, zone, fold=1)


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)
