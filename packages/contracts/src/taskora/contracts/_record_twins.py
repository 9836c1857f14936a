"""Record classes as `dataclasses` makes them. Imported when somebody asks a record for what only these have."""

from __future__ import annotations

import dataclasses
from typing import Any

from taskora.contracts._record_shapes import MISSING, Field, Shape


def twin_of(shape: Shape) -> type[Any]:
    """The dataclass that has the fields of a record class. Nobody makes instances of it."""
    members: dict[str, Any] = {
        "__module__": shape.cls.__module__,
        "__qualname__": shape.cls.__qualname__,
        "__doc__": shape.cls.__doc__ or "",
        "__annotations__": shape.annotations,
    }
    for name, field in shape.fields.items():
        members[name] = _twin_field(field)
    make = dataclasses.dataclass(frozen=shape.frozen, eq=shape.eq, slots=shape.slots)
    return make(type(shape.cls.__name__, (), members))


def _twin_field(field: Field) -> Any:
    given = {
        name: getattr(field, name)
        for name in ("default", "default_factory", "init", "repr", "hash", "compare", "kw_only")
        if getattr(field, name) is not MISSING
    }
    return dataclasses.field(**given)
