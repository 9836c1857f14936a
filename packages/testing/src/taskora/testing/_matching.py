"""Whether a payload is the one that a test expects."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast

I = TypeVar("I")  # noqa: E741 - input

Matching: TypeAlias = I | Callable[[I], bool] | Mapping[str, object]

_MISSING: Final = object()


def matches(data: object, matching: object) -> bool:
    """Whether `data` equals `matching`, passes it as a predicate, or has what it has as a mapping."""
    if isinstance(matching, Mapping):
        return _has(data, cast("Mapping[str, object]", matching))
    if callable(matching) and not isinstance(data, type(cast("Any", matching))):
        return bool(matching(data))
    return data == matching


def _has(data: object, wanted: Mapping[str, object]) -> bool:
    return all(_fits(_part(data, name), value) for name, value in wanted.items())


def _part(data: object, name: str) -> object:
    if isinstance(data, Mapping):
        return cast("Mapping[str, object]", data).get(name, _MISSING)
    return getattr(data, name, _MISSING)


def _fits(found: object, wanted: object) -> bool:
    if isinstance(wanted, Mapping):
        return _has(found, cast("Mapping[str, object]", wanted))
    return found == wanted


def described(matching: object) -> str:
    """What is expected, for a message."""
    if isinstance(matching, Mapping):
        return f"has {dict(cast('Mapping[str, object]', matching))}"
    if callable(matching):
        return f"passes {getattr(matching, '__qualname__', repr(matching))}"
    return f"equals {matching!r}"
