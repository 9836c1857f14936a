"""Cron expressions: what may be written, and the one way to write it that leaves nothing to interpretation.

The dialect is the one that every implementation of the wire format reads: five fields, or six with leading seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from taskora.contracts._errors import UsageError
from taskora.contracts.records import record

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
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LONGEST_TEXT: Final = 512
_MONTH_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@record
class _Field:
    """One field; `different` is how many values there are, as 7 is Sunday again. Names count from `least`."""

    name: str
    least: int
    most: int
    different: int
    names: Sequence[str]


_SECOND: Final = _Field(name="second", least=0, most=59, different=60, names=())
_MINUTE: Final = _Field(name="minute", least=0, most=59, different=60, names=())
_HOUR: Final = _Field(name="hour", least=0, most=23, different=24, names=())
_DAY: Final = _Field(name="day of month", least=1, most=31, different=31, names=())
_MONTH: Final = _Field(name="month", least=1, most=12, different=12, names=_MONTHS)
_WEEKDAY: Final = _Field(name="day of week", least=0, most=7, different=7, names=_WEEKDAYS)


class _CronSyntaxError(Exception):
    """Says what is wrong with a part."""


@lru_cache(maxsize=4096)
def canonical_cron(text: str, *, field: str = "cron") -> str:
    """The same expression in six fields, each `*` or a list of numbers in order, with Sunday as 0.

    Only `L`, `5L` and `1#2` remain of what is no number. Days that no month of it has are left out; where that leaves
    none, the field is `-`, and weekdays alone count.

    Raises:
        UsageError: It is none, says nothing that ever happens, or uses what others cannot read alike (`W`, `H`).
    """
    try:
        return _canonical(text)
    except _CronSyntaxError as error:
        raise UsageError.for_field(field, text, f"a cron expression: {error}") from None


def _canonical(text: str) -> str:
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
    fields = (_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)
    listed = [_listed(part, of) for part, of in zip(parts if len(parts) == 6 else ["0", *parts], fields, strict=True)]
    *times, day, month, weekday = listed
    day = _existing(day, month)
    if day == "-" and weekday == "*":
        raise _CronSyntaxError("one whose day exists in one of its months")
    return " ".join([*times, day, month, weekday])


def _existing(day: str, month: str) -> str:
    if day == "*" or month == "*":
        return day
    longest = max(_MONTH_LENGTHS[int(number) - 1] for number in month.split(","))
    return ",".join(part for part in day.split(",") if part == "L" or int(part) <= longest) or "-"


def _listed(text: str, field: _Field) -> str:
    numbers: set[int] = set()
    others: set[str] = set()
    for part in text.split(","):
        other = _in_month(part, field)
        if other is None:
            numbers |= _range(part, field)
        else:
            others.add(other)
    numbers = {_wrapped(number, field) for number in numbers}
    if len(numbers) == field.different:
        return "*"
    return ",".join([*map(str, sorted(numbers)), *sorted(others)])


def _wrapped(number: int, field: _Field) -> int:
    return field.least + (number - field.least) % field.different


def _in_month(part: str, field: _Field) -> str | None:
    """What depends on the month: `L`, its last day; `5L`, its last Friday; `MON#2`, its second Monday."""
    if field is _DAY:
        return part if part == "L" else None
    if field is not _WEEKDAY:
        return None
    if part.endswith("L") and part != "L":
        return f"{_wrapped(_number(part[:-1], field), field)}L"
    word, mark, which = part.partition("#")
    if not mark:
        return None
    if which not in {"1", "2", "3", "4", "5"}:
        raise _CronSyntaxError(f"{part!r} must name the 1st to 5th of a month")
    return f"{_wrapped(_number(word, field), field)}#{which}"


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
    if word in field.names:
        return field.least + field.names.index(word)
    if not (word.isascii() and word.isdecimal()) or not field.least <= int(word) <= field.most:
        names = f" or {', '.join(field.names)}" if field.names else ""
        raise _CronSyntaxError(f"{word!r} is no {field.name}: {field.least} to {field.most}{names}")
    return int(word)
