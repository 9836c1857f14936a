"""Which wall-clock times a cron expression names: croniter's search, over times without a zone.

What croniter reads otherwise than the other programs that share our schedules never reaches it: decision 0044.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from taskora.contracts import canonical_cron
from taskora.contracts.records import record

if TYPE_CHECKING:
    from croniter import croniter


@record
class WallTimes:
    """The times that an expression names.

    Attributes:
        every_hour: Whether no hour is left out: such an expression is about intervals, not about times of the day.
        searches: What croniter made of it. A time that one of them names counts.
    """

    every_hour: bool
    searches: Sequence[croniter]

    def after(self, wall: datetime) -> datetime | None:
        """The first one after `wall`, both without a zone; None when there is none in 50 years."""
        found = [_next(search, wall) for search in self.searches]
        return min((time for time in found if time is not None), default=None)


def _next(search: croniter, wall: datetime) -> datetime | None:
    # A search remembers where it is, and threads share it.
    try:
        return copy.copy(search).get_next(datetime, start_time=wall)
    except (ValueError, OverflowError):  # there is none, or calendars end before it
        return None


@lru_cache(maxsize=4096)
def wall_times(cron: str) -> WallTimes:
    """Read an expression.

    Raises:
        UsageError: It is none.
    """
    from croniter import croniter

    second, minute, hour, day, month, weekday = canonical_cron(cron).split()
    return WallTimes(
        every_hour=hour == "*",
        searches=[
            croniter(f"{second} {minute} {hour} {one_day} {month} {one_weekday}", second_at_beginning=True)
            for one_day, one_weekday in _days(day, weekday)
        ],
    )


def _days(day: str, weekday: str) -> list[tuple[str, str]]:
    """Pairs of a day of the month and a weekday that croniter can read; either pair counts.

    It takes no list of weekdays and of n-th weekdays, and of a day of the month and an n-th weekday it wants both.
    """
    days = [] if day == "-" or (day == "*" and weekday != "*") else [(day, "*")]
    if weekday == "*":
        return days
    parts = weekday.split(",")
    plain = ",".join(part for part in parts if part.isdecimal())
    in_month = ",".join(f"L{part[0]}" if part.endswith("L") else part for part in parts if not part.isdecimal())
    return days + [("*", listed) for listed in (plain, in_month) if listed]
