"""Cron expressions: what may be written, and which wall-clock times it names.

The dialect is the one that every implementation of the wire format reads: five fields, or six with leading seconds.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from taskora.contracts._errors import UsageError

ALIASES: Final = {
    "@yearly": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
    "@minutely": "0 * * * * *",
    "@secondly": "* * * * * *",
    "@weekdays": "0 0 0 * * 1-5",
    "@weekends": "0 0 0 * * 0,6",
}
_MONTH_NAMES: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAY_NAMES: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS: Final = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_WEEKDAYS: Final = {name: number for number, name in enumerate(_WEEKDAY_NAMES)}
_LONGEST_TEXT: Final = 512
# A fifth Monday of February comes every 28 years, or after 40 where a century is no leap year.
_MONTHS_AHEAD: Final = 12 * 41
_MONTH_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    name: str
    least: int
    most: int
    names: Mapping[str, int]


_SECOND: Final = _Field(name="second", least=0, most=59, names={})
_MINUTE: Final = _Field(name="minute", least=0, most=59, names={})
_HOUR: Final = _Field(name="hour", least=0, most=23, names={})
_DAY: Final = _Field(name="day of month", least=1, most=31, names={})
_MONTH: Final = _Field(name="month", least=1, most=12, names=_MONTHS)
_WEEKDAY: Final = _Field(name="day of week", least=0, most=7, names=_WEEKDAYS)


class _CronSyntaxError(Exception):
    """Says what is wrong with a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CronExpression:
    """A parsed expression. Weekdays count from Sunday, 0; numbers are sorted.

    Attributes:
        last_day: Whether the last day of the month is meant as well.
        nth_weekdays: Pairs of a weekday and which one of its month.
        last_weekdays: Weekdays of which the last of the month is meant.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    last_day: bool
    months: frozenset[int]
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int]]
    last_weekdays: frozenset[int]

    @property
    def every_hour(self) -> bool:
        """Whether no hour is left out: such an expression is about intervals, not about times of the day."""
        return len(self.hours) == _HOUR.most + 1

    def next_after(self, wall: datetime) -> datetime | None:
        """The first wall-clock time after `wall`, both without a zone; None when there is none in 40 years."""
        if self._has_day(wall.date()):
            later = self._time_after(wall.time())
            if later is not None:
                return datetime.combine(wall.date(), later)
        first = time(self.hours[0], self.minutes[0], self.seconds[0])
        return next((datetime.combine(day, first) for day in self._days_after(wall.date())), None)

    def _time_after(self, moment: time) -> time | None:
        for hour in self.hours:
            if hour < moment.hour:
                continue
            for minute in self.minutes:
                if hour == moment.hour and minute < moment.minute:
                    continue
                same = (hour, minute) == (moment.hour, moment.minute)
                second = next((second for second in self.seconds if not same or second > moment.second), None)
                if second is not None:
                    return time(hour, minute, second)
        return None

    def _days_after(self, day: date) -> Iterator[date]:
        year, month = day.year, day.month
        for _ in range(_MONTHS_AHEAD):
            if month in self.months:
                length = calendar.monthrange(year, month)[1]
                days = (date(year, month, number) for number in range(1, length + 1))
                yield from (found for found in days if found > day and self._has_day(found))
            year, month = (year, month + 1) if month < _MONTH.most else (year + 1, 1)
            if year > date.max.year:
                return

    def _has_day(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_number = self._has_day_of_month(day)
        by_weekday = self._has_weekday(day)
        return by_number or by_weekday if self._restricts_both else by_number and by_weekday

    @property
    def _restricts_both(self) -> bool:
        return len(self.days) < _DAY.most and len(self.weekdays) < len(_WEEKDAYS)

    def _has_day_of_month(self, day: date) -> bool:
        return day.day in self.days or (self.last_day and (day + timedelta(days=1)).day == 1)

    def _has_weekday(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        if weekday in self.weekdays or (weekday, (day.day + 6) // 7) in self.nth_weekdays:
            return True
        return weekday in self.last_weekdays and (day + timedelta(days=7)).month != day.month


@lru_cache(maxsize=1024)
def parse_cron(text: str, *, field: str = "cron") -> CronExpression:
    """Parse an expression.

    Raises:
        UsageError: It is none, says nothing that ever happens, or uses what others cannot read alike (`W`, `H`).
    """
    try:
        expression = _parse(text)
    except _CronSyntaxError as error:
        raise UsageError.for_field(field, text, f"a cron expression: {error}") from None
    if not _ever_happens(expression):
        raise UsageError.for_field(field, text, "a cron expression whose day exists in one of its months")
    return expression


def _parse(text: str) -> CronExpression:
    if len(text) > _LONGEST_TEXT:
        raise _CronSyntaxError(f"at most {_LONGEST_TEXT} characters")
    if text.startswith("@"):
        if text not in ALIASES:
            raise _CronSyntaxError(f"with @ one of {', '.join(ALIASES)}")
        text = ALIASES[text]
    parts = text.upper().split()
    if len(parts) not in (5, 6):
        raise _CronSyntaxError(
            f"5 fields (minute, hour, day of month, month, day of week) or 6 with leading seconds, not {len(parts)}"
        )
    second, minute, hour, day, month, weekday = parts if len(parts) == 6 else ["0", *parts]
    last_days: list[bool] = []
    nth: set[tuple[int, int]] = set()
    last_weekdays: set[int] = set()
    return CronExpression(
        seconds=_sorted(second, _SECOND),
        minutes=_sorted(minute, _MINUTE),
        hours=_sorted(hour, _HOUR),
        days=_numbers(day, _DAY, lambda part: _is_last_day(part, last_days)),
        last_day=bool(last_days),
        months=_numbers(month, _MONTH),
        weekdays=frozenset(
            number % 7 for number in _numbers(weekday, _WEEKDAY, lambda part: _is_in_month(part, nth, last_weekdays))
        ),
        nth_weekdays=frozenset(nth),
        last_weekdays=frozenset(last_weekdays),
    )


def _sorted(text: str, field: _Field) -> tuple[int, ...]:
    return tuple(sorted(_numbers(text, field)))


def _numbers(text: str, field: _Field, special: Callable[[str], bool] = lambda part: False) -> frozenset[int]:
    """What a field lists; `special` takes the parts that are no numbers."""
    numbers: set[int] = set()
    for part in text.split(","):
        if not special(part):
            numbers |= _range(part, field)
    return frozenset(numbers)


_RANGE: Final = re.compile(r"(?:(\*|\?)|(\w+)(?:-(\w+))?)(?:/([0-9]{1,4}))?")


def _range(part: str, field: _Field) -> set[int]:
    """One part of a list: `*`, `5`, `1-5`, each with a step or without."""
    found = _RANGE.fullmatch(part)
    if found is None:
        raise _CronSyntaxError(f"{part!r} is nothing that a {field.name} can be")
    star, low, high, step = found.groups()
    if step is not None and int(step) == 0:
        raise _CronSyntaxError(f"the step of {part!r} must be 1 or more")
    if star == "?" and (field not in (_DAY, _WEEKDAY) or step is not None):
        raise _CronSyntaxError("'?' may stand for a day only, and alone")
    if star:
        return set(range(field.least, field.most + 1, int(step or 1)))
    first = _number(low, field)
    last = _number(high, field) if high else field.most if step else first
    if last < first:
        raise _CronSyntaxError(f"the range {part!r} must go from low to high")
    return set(range(first, last + 1, int(step or 1)))


def _number(word: str, field: _Field) -> int:
    number = field.names.get(word)
    if number is None:
        if not (word.isascii() and word.isdecimal()) or not field.least <= int(word) <= field.most:
            names = f" or {', '.join(field.names)}" if field.names else ""
            raise _CronSyntaxError(f"{word!r} is no {field.name}: {field.least} to {field.most}{names}")
        number = int(word)
    return number


def _is_last_day(part: str, last_days: list[bool]) -> bool:
    if part != "L":
        return False
    last_days.append(True)
    return True


def _is_in_month(part: str, nth: set[tuple[int, int]], last_weekdays: set[int]) -> bool:
    """Takes `5L`, the last Friday of a month, and `MON#2`, its second Monday."""
    if part.endswith("L") and part != "L":
        last_weekdays.add(_number(part[:-1], _WEEKDAY) % 7)
        return True
    word, mark, which = part.partition("#")
    if not mark:
        return False
    if which not in {"1", "2", "3", "4", "5"}:
        raise _CronSyntaxError(f"{part!r} must name the 1st to 5th of a month")
    nth.add((_number(word, _WEEKDAY) % 7, int(which)))
    return True


def _ever_happens(expression: CronExpression) -> bool:
    if expression.last_day or len(expression.weekdays) < len(_WEEKDAYS):
        return True
    longest = max(_MONTH_LENGTHS[month - 1] for month in expression.months)
    return min(expression.days) <= longest
