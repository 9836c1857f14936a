"""Durations as users write them, and as milliseconds inside."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise
from typing import Final, TypeAlias

from taskora.contracts._errors import ContractError, UsageError

Duration: TypeAlias = timedelta | float | int | str
"""A `timedelta`, a number of seconds, or a string such as `"250ms"`, `"30s"`, `"1.5h"` or `"1h30m"`."""

_UNITS_MS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[dhms])")
_TEXT: Final = re.compile(rf"(?:{_PART.pattern})+")

# Due times are scores and hash fields that other languages read: 13 digits, and exact as a double.
LONGEST_MS: Final = 36_525 * _UNITS_MS["d"]

_FORMS: Final = 'a timedelta, a number of seconds, or a string such as "250ms", "30s", "1.5h" or "1h30m"'


def to_milliseconds(
    value: Duration,
    *,
    field: str,
    error: type[ContractError] | type[UsageError] = UsageError,
    allow_zero: bool = False,
) -> int:
    """Turn a duration into whole milliseconds.

    Args:
        value: The duration. Units of a composite go from large to small, each at most once.
        field: Name of the parameter, for the message.
        error: What to raise.
        allow_zero: Whether nothing at all is a duration here.

    Raises:
        ContractError: Or `UsageError`: not a duration, negative, zero, under a millisecond or over 100 years.
    """
    exact = _exact_ms(value)
    if exact is None or exact != exact:
        raise error.for_field(field, value, f"a duration: {_FORMS}")
    if exact < 0 or (exact == 0 and not allow_zero):
        raise error.for_field(field, value, "zero or a positive duration" if allow_zero else "a positive duration")
    if exact > LONGEST_MS:
        raise error.for_field(field, value, "at most 100 years (36525d)")
    rounded = round(exact)
    if exact > 0 and rounded == 0:
        raise error.for_field(field, value, "at least one millisecond")
    return rounded


def to_seconds(
    value: Duration,
    *,
    field: str,
    error: type[ContractError] | type[UsageError] = UsageError,
    allow_zero: bool = False,
) -> float:
    """Turn a duration into seconds, to the millisecond. Same rules as `to_milliseconds`."""
    return to_milliseconds(value, field=field, error=error, allow_zero=allow_zero) / 1000


def format_milliseconds(duration_ms: int) -> str:
    """Write milliseconds, zero or more, as a string that reads back as the same duration: `"1h30m"`."""
    parts: list[str] = []
    rest = duration_ms
    for unit, unit_ms in _UNITS_MS.items():
        count, rest = divmod(rest, unit_ms)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _exact_ms(value: object) -> float | None:
    match value:
        case bool():
            return None  # an int to Python, but never a duration to its author
        case timedelta():
            return value / timedelta(milliseconds=1)
        case int() | float():
            return value * 1000
        case str():
            return _parsed_ms(value)
        case _:
            return None


def _parsed_ms(text: str) -> float | None:
    if _TEXT.fullmatch(text) is None:
        return None
    parts = _PART.findall(text)
    sizes = [_UNITS_MS[unit] for _, unit in parts]
    descending = all(larger > smaller for larger, smaller in pairwise(sizes))
    if not descending:
        return None
    return sum(float(number) * size for (number, _), size in zip(parts, sizes, strict=True))
