"""Schedules: when a task runs by itself."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, TypeAlias, TypedDict, cast

from taskora.contracts._cron import canonical_cron
from taskora.contracts._durations import Duration, to_milliseconds
from taskora.contracts._errors import UsageError
from taskora.contracts.records import field, record

OnMissed: TypeAlias = str
"""`"skip"`, `"catch-up"`, or `"catch-up-limit:N"`."""

SHORTEST_INTERVAL_MS: Final = 100
# One call to the server must stay short, whatever a long absence left behind.
MOST_MISSED: Final = 1000
_LIMITED: Final = re.compile(r"catch-up-limit:([1-9][0-9]{0,8})")
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")


class ScheduleOptions(TypedDict, total=False):
    """The options of a `Schedule`, for those who pass them on; what each means is said there."""

    every: Duration | None
    cron: str | None
    timezone: str | None
    data: object
    on_missed: OnMissed
    overlap: bool
    start: datetime | None
    end: datetime | None
    jitter: Duration | None


def check_schedule_options(options: ScheduleOptions) -> None:
    """Refuses options that do not exist, as Python refuses arguments: with a `TypeError`."""
    unknown = sorted(options.keys() - ScheduleOptions.__optional_keys__)
    if unknown:
        raise TypeError(f"a schedule has no option {', '.join(map(repr, unknown))}")


@record
class Schedule:
    """When a task runs by itself: at an interval, or at the times that a cron expression names.

    Attributes:
        every: The interval. It is counted from when a run was due, so it does not drift.
        cron: Five fields, or six with leading seconds; names, steps, `L`, `5L`, `MON#2`, `?`, `@daily` and the like.
        timezone: IANA name of the zone that a cron expression is meant in; UTC by default.
        data: Input of every run.
        on_missed: What happens to runs that were due while no scheduler ran: `"skip"` runs the latest of them,
            `"catch-up"` all, `"catch-up-limit:N"` the latest N. At most 1000 in any case.
        overlap: Whether a run may be dispatched while the one before it has not ended.
        start: No run is due before.
        end: No run is due after.
        jitter: Each run starts up to this much later; how much is fixed for each run.
    """

    every: Duration | None = field(default=None, compare=False)
    cron: str | None = None
    timezone: str | None = None
    data: object = field(default=None, hash=False)
    on_missed: OnMissed = "skip"
    overlap: bool = False
    start: datetime | None = None
    end: datetime | None = None
    jitter: Duration | None = field(default=None, compare=False)
    every_ms: int | None = field(init=False, repr=False)
    jitter_ms: int = field(init=False, repr=False)
    most_missed: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (self.every is None) == (self.cron is None):
            raise UsageError("a schedule needs either every or cron, and not both")
        object.__setattr__(self, "every_ms", _interval_ms(self.every))
        _check_cron(self.cron, self.timezone)
        object.__setattr__(self, "most_missed", _most_missed(self.on_missed))
        if not isinstance(cast("object", self.overlap), bool):
            raise UsageError.for_field("schedule.overlap", self.overlap, "True or False")
        _check_bounds(self.start, self.end)
        jitter_ms = 0 if self.jitter is None else to_milliseconds(self.jitter, field="schedule.jitter", allow_zero=True)
        object.__setattr__(self, "jitter_ms", jitter_ms)


def _interval_ms(every: Duration | None) -> int | None:
    if every is None:
        return None
    every_ms = to_milliseconds(every, field="schedule.every")
    if every_ms < SHORTEST_INTERVAL_MS:
        raise UsageError.for_field("schedule.every", every, f"at least {SHORTEST_INTERVAL_MS}ms")
    return every_ms


def _check_cron(cron: object, timezone: object) -> None:
    if timezone is not None:
        if cron is None:
            raise UsageError.for_field("schedule.timezone", timezone, "absent: an interval has no zone")
        _check_zone(timezone)
    if cron is None:
        return
    if not isinstance(cron, str):
        raise UsageError.for_field("schedule.cron", cron, "a cron expression, as text")
    canonical_cron(cron, field="schedule.cron")


def _check_zone(timezone: object) -> None:
    from zoneinfo import ZoneInfo  # here, since most programs that share contracts have no schedule with a zone

    rule = "an IANA time zone that this machine knows (it may need the package tzdata), such as 'Europe/Berlin'"
    if not isinstance(timezone, str) or _ZONE.fullmatch(timezone) is None:
        raise UsageError.for_field("schedule.timezone", timezone, rule)
    try:
        ZoneInfo(timezone)
    except Exception as error:  # a name may be a folder of the zone database, or a file that is no zone
        raise UsageError.for_field("schedule.timezone", timezone, rule) from error


def _most_missed(on_missed: object) -> int:
    if on_missed == "skip":
        return 1
    if on_missed == "catch-up":
        return MOST_MISSED
    limited = _LIMITED.fullmatch(on_missed) if isinstance(on_missed, str) else None
    if limited is None:
        raise UsageError.for_field("schedule.on_missed", on_missed, '"skip", "catch-up" or "catch-up-limit:N"')
    return min(int(limited[1]), MOST_MISSED)


def _check_bounds(start: object, end: object) -> None:
    first = None if start is None else _check_instant("schedule.start", start)
    last = None if end is None else _check_instant("schedule.end", end)
    if first is not None and last is not None and last < first:
        raise UsageError.for_field("schedule.end", end, "not before schedule.start")


def _check_instant(name: str, value: object) -> datetime:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise UsageError.for_field(name, value, "a datetime with a time zone")
    return value
