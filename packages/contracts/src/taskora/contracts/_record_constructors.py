"""The `__init__` of a record class, as a function of Python: nothing else is as fast to call."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FunctionType, MemberDescriptorType
from typing import Any, Final

from taskora.contracts._record_shapes import MISSING, Shape

_set: Final = object.__setattr__


class _Made:
    """Stands in signatures for the default of a field that a function makes anew for each instance."""

    def __repr__(self) -> str:
        return "<factory>"


_MADE: Final = _Made()


def constructor_of(shape: Shape) -> FunctionType:
    """Writes `__init__` as one would by hand, and compiles it where the class is defined."""
    cls = shape.cls
    me = "self" if "self" not in shape.fields else "_record_self"
    # No field of ours begins with this underscore and word, so that none hides what is found by these names.
    known: dict[str, Any] = {"_record_set": _set, "_record_made": _MADE}
    lines = [_line(shape, me, name, known) for name in shape.fields]
    if hasattr(cls, "__post_init__"):
        lines.append(f"{me}.__post_init__()")
    body = "\n  ".join([line for line in lines if line] or ["pass"])
    parameters = ", ".join([me, *_parameters(shape, known)])
    source = f"def make({', '.join(known)}):\n def __init__({parameters}):\n  {body}\n return __init__"
    module = sys.modules.get(cls.__module__)
    scope: dict[str, Any] = {}
    code = compile(source, f"<record {cls.__qualname__}>", "exec")
    exec(code, vars(module) if module else {}, scope)  # noqa: S102 - the text is made of names that Python has accepted
    constructor: FunctionType = scope["make"](**known)
    constructor.__qualname__ = f"{cls.__qualname__}.__init__"
    constructor.__annotations__ = _annotations(shape)
    return constructor


def _line(shape: Shape, me: str, name: str, known: dict[str, Any]) -> str | None:
    """The statement that fills in a field, or None for one that starts empty."""
    value = _value(shape, name, known)
    if value is None:
        return None
    if not _is_guarded(shape.cls):
        return f"{me}.{name} = {value}"
    # A guard is passed by the descriptor of the slot, in half the time that object.__setattr__ takes.
    slot = getattr(shape.cls, name, None)
    if isinstance(slot, MemberDescriptorType):
        known[f"_record_set_{name}"] = slot.__set__
        return f"_record_set_{name}({me}, {value})"
    return f"_record_set({me}, {name!r}, {value})"


def _value(shape: Shape, name: str, known: dict[str, Any]) -> str | None:
    field = shape.fields[name]
    if field.default_factory is not MISSING:
        known[f"_record_make_{name}"] = field.default_factory
        made = f"_record_make_{name}()"
        return f"{made} if {name} is _record_made else {name}" if field.init else made
    if field.init:
        return name
    if field.default is MISSING or not shape.slots:  # without slots, the class has the default
        return None
    known[f"_record_default_{name}"] = field.default
    return f"_record_default_{name}"


def _is_guarded(cls: type[Any]) -> bool:
    setter: object = cls.__setattr__
    return setter is not _set


def _parameters(shape: Shape, known: dict[str, Any]) -> Iterator[str]:
    positional = len(shape.positional)
    for number, name in enumerate(shape.accepted):
        if number == positional:
            yield "*"
        field = shape.fields[name]
        if field.default_factory is not MISSING:
            yield f"{name}=_record_made"
        elif field.default is not MISSING:
            known[f"_record_default_{name}"] = field.default
            yield f"{name}=_record_default_{name}"
        else:
            yield name


def _annotations(shape: Shape) -> dict[str, Any]:
    annotations = shape.annotations
    return {name: annotations[name] for name in shape.accepted} | {"return": None}
