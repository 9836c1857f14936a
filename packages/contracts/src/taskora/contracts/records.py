"""Records: what `@dataclass(frozen=True, slots=True, kw_only=True)` makes, for a fraction of its time.

The parts of taskora consist of some two hundred small frozen classes, and every program that imports them pays for
the making of each (docs/decisions/0086). The parts share this module; it is no promise to others, who have
`dataclasses`. To them a record is a dataclass: `fields`, `replace`, `asdict`, `is_dataclass`, pydantic and type
checkers treat it as one. What `dataclasses` prepares with the class is made here when somebody asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform, overload

from taskora.contracts._record_shapes import MISSING, Field, Shape, shape_of
from taskora.contracts._record_shapes import frozen_error as frozen_error  # noqa: PLC0414 - for the parts
from taskora.contracts._record_shapes import replace as replace  # noqa: PLC0414 - for the parts

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@overload
def field(*, default: T, init: bool = True, repr: bool = True, hash: bool | None = None, compare: bool = True) -> T: ...
@overload
def field(
    *,
    default_factory: Callable[[], T],
    init: bool = True,
    repr: bool = True,
    hash: bool | None = None,
    compare: bool = True,
) -> T: ...
@overload
def field(*, init: bool = True, repr: bool = True, hash: bool | None = None, compare: bool = True) -> Any: ...
def field(
    *,
    default: Any = MISSING,
    default_factory: Any = MISSING,
    init: bool = True,
    repr: bool = True,
    hash: bool | None = None,
    compare: bool = True,
) -> Any:
    """What is special about a field; the arguments mean what they mean for `dataclasses.field`."""
    return Field(default, default_factory, init=init, repr=repr, hash=hash, compare=compare)


@overload
@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def record(cls: type[T], /) -> type[T]: ...
@overload
@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def record(
    *, kw_only: bool = True, frozen: bool = True, guarded: bool = True, slots: bool = True, eq: bool = True
) -> Callable[[type[T]], type[T]]: ...
def record(
    cls: type[Any] | None = None,
    /,
    *,
    kw_only: bool = True,
    frozen: bool = True,
    guarded: bool = True,
    slots: bool = True,
    eq: bool = True,
) -> Any:
    """Makes a frozen, slotted, keyword-only class of the annotations of a class.

    Args:
        cls: The class, where the decorator is used without arguments.
        kw_only: Whether arguments are given by name only.
        frozen: Whether instances never change. Those that do have no hash.
        guarded: Whether a frozen instance refuses assignments when the program runs. Without it, only type checkers
            refuse them, and making an instance takes half the time: for what is made anew for every job.
        slots: Whether instances have slots and no dictionary. As with dataclasses, `super()` without arguments does not
            work in the methods of a slotted record.
        eq: Whether instances are equal if their fields are.
    """

    def make(cls: type[Any]) -> type[Any]:
        return Shape(kw_only=kw_only, frozen=frozen, guarded=frozen and guarded, slots=slots, eq=eq).given_to(cls)

    return make if cls is None else make(cls)


def field_names(cls: type[Any]) -> tuple[str, ...]:
    """The names of all fields of a record class, in order."""
    return shape_of(cls).names
