"""How record classes are put together. What few programs need is derived when it is first asked for."""

from __future__ import annotations

import sys
from functools import cached_property
from operator import attrgetter
from reprlib import recursive_repr
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

if TYPE_CHECKING:
    from dataclasses import FrozenInstanceError

T = TypeVar("T")

MISSING: Final[Any] = object()
_SHAPE: Final = "__taskora_record__"
_set: Final = object.__setattr__


class Field:
    """What was said of a field with `records.field`, or that nothing was said."""

    __slots__ = ("compare", "default", "default_factory", "hash", "init", "kw_only", "repr")

    def __init__(
        self,
        default: Any = MISSING,
        default_factory: Any = MISSING,
        *,
        init: bool = True,
        repr: bool = True,
        hash: bool | None = None,
        compare: bool = True,
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr
        self.hash = hash
        self.compare = compare
        self.kw_only = True


class Shape:
    """How a record class was declared. What is derived from that is derived when it is first needed."""

    cls: type[Any]
    own: dict[str, Any]

    def __init__(self, *, kw_only: bool, frozen: bool, guarded: bool, slots: bool, eq: bool) -> None:
        self.kw_only = kw_only
        self.frozen = frozen
        self.guarded = guarded
        self.slots = slots
        self.eq = eq

    def given_to(self, cls: type[Any]) -> type[Any]:
        """Makes a record class of a class."""
        given = cls.__dict__
        self.own = {name: given.get(name, MISSING) for name, type_ in annotations_of(cls).items() if is_field(type_)}
        self.cls = self._slotted(cls) if self.slots else self._extended(cls)
        return self.cls

    def _slotted(self, cls: type[Any]) -> type[Any]:
        """A class like this one with slots, which cannot be added to a class that is there."""
        own = self.own
        inherited = {name for base in cls.__mro__[1:-1] for name in base.__dict__.get("__slots__", ())}
        members = {name: value for name, value in cls.__dict__.items() if name not in own}
        members.pop("__dict__", None)
        members.pop("__weakref__", None)
        members["__slots__"] = tuple([name for name in own if name not in inherited])
        members["__qualname__"] = cls.__qualname__
        members.update(self._additions(members))
        metaclass: Any = type(cls)
        made: type[Any] = metaclass(cls.__name__, cls.__bases__, members)
        return made

    def _extended(self, cls: type[Any]) -> type[Any]:
        for name, value in self.own.items():
            if isinstance(value, Field):
                delattr(cls, name)
                if value.default is not MISSING:
                    setattr(cls, name, value.default)
        for name, value in self._additions(cls.__dict__).items():
            setattr(cls, name, value)
        return cls

    def _additions(self, given: Any) -> dict[str, Any]:
        """The members that make a class a record, but for those that it has itself."""
        added: dict[str, Any] = {
            _SHAPE: self,
            "__dataclass_fields__": Lazy(self, "__dataclass_fields__", _twin_fields),
            "__dataclass_params__": Lazy(self, "__dataclass_params__", _twin_params),
            "__init__": Lazy(self, "__init__", _constructor),
            "__match_args__": () if self.kw_only else Lazy(self, "__match_args__", _match_args),
            "__repr__": _repr,
            "__replace__": replace,
        }
        if self.eq:
            added |= {"__eq__": _eq, "__hash__": _hash if self.frozen else None}
            if given.get("__hash__") is None:  # an __eq__ of its own makes it None
                given = {name: value for name, value in given.items() if name != "__hash__"}
        if self.guarded:
            added |= {"__setattr__": _setattr, "__delattr__": _delattr}
        if self.slots and self.frozen:
            added |= {"__getstate__": _getstate, "__setstate__": _setstate}
        return {name: value for name, value in added.items() if name not in given}

    @cached_property
    def fields(self) -> dict[str, Field]:
        """All fields, those of the record classes that it inherits from first."""
        fields: dict[str, Field] = {}
        for cls in reversed(self.cls.__mro__):
            shape: Shape | None = cls.__dict__.get(_SHAPE)
            for name, value in shape.own.items() if shape else ():
                fields[name] = value if isinstance(value, Field) else Field(value)
                fields[name].kw_only = shape.kw_only if shape else True
        return fields

    @cached_property
    def annotations(self) -> dict[str, Any]:
        """The annotations of all fields, and of the class variables beside them."""
        annotations: dict[str, Any] = {}
        for cls in reversed(self.cls.__mro__):
            if _SHAPE in cls.__dict__:
                annotations |= annotations_of(cls)
        return annotations

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all fields."""
        return tuple(self.fields)

    @cached_property
    def accepted(self) -> tuple[str, ...]:
        """The names of the fields that are arguments, in the order of the signature: first those with a position."""
        accepted = [name for name, field in self.fields.items() if field.init]
        return tuple(sorted(accepted, key=lambda name: self.fields[name].kw_only))

    @cached_property
    def positional(self) -> tuple[str, ...]:
        """The names of the arguments that may be given by position."""
        return tuple([name for name in self.accepted if not self.fields[name].kw_only])

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The names of the fields that are in the representation."""
        return tuple([name for name, field in self.fields.items() if field.repr])

    @cached_property
    def compared(self) -> Any:
        """A function that gives the values by which instances are compared."""
        return _getter([name for name, field in self.fields.items() if field.compare])

    @cached_property
    def hashed(self) -> Any:
        """A function that gives the values of which the hash is made."""
        fields = self.fields.items()
        return _getter([name for name, field in fields if (field.compare if field.hash is None else field.hash)])

    @cached_property
    def twin(self) -> type[Any]:
        """The same class as `dataclasses` makes it: what they say of it is true of this one."""
        from taskora.contracts._record_twins import twin_of

        return twin_of(self)


class Lazy:
    """A member of a record class that is made when it is first needed, and then takes the place of this."""

    __slots__ = ("_make", "_name", "_shape")

    def __init__(self, shape: Shape, name: str, make: Any) -> None:
        self._shape = shape
        self._name = name
        self._make = make

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        made = self._make(self._shape)
        setattr(self._shape.cls, self._name, made)
        return made.__get__(instance, owner) if isinstance(made, FunctionType) else made


def shape_of(cls: object) -> Shape:
    """The shape of a record class, or of the record class that a class inherits from."""
    shape: Shape = getattr(cls, _SHAPE)
    return shape


def annotations_of(cls: type[Any]) -> dict[str, Any]:
    """The annotations of a class, without those of its bases."""
    if sys.version_info >= (3, 14):
        return cls.__annotations__
    annotations: dict[str, Any] = cls.__dict__.get("__annotations__", {})  # noqa: RUF063 - inspect is expensive
    return annotations


def is_field(annotation: Any) -> bool:
    """Whether an annotation is that of a field, and not of a class variable."""
    if isinstance(annotation, str):
        return not annotation.startswith(("ClassVar", "typing.ClassVar"))
    return annotation is not ClassVar and getattr(annotation, "__origin__", None) is not ClassVar


def replace(instance: T, /, **changes: Any) -> T:
    """A copy of a record with some fields changed, as `dataclasses.replace` makes it."""
    cls = type(instance)
    if _is_extended(cls):
        from dataclasses import replace as replace_dataclass

        changed: Any = replace_dataclass(cast("Any", instance), **changes)
        return cast("T", changed)
    for name in shape_of(cls).accepted:
        if name not in changes:
            changes[name] = getattr(instance, name)
    return cls(**changes)


def frozen_error(name: str, verb: str = "assign to") -> FrozenInstanceError:
    """The error for those who change a field of a frozen instance."""
    from dataclasses import FrozenInstanceError

    return FrozenInstanceError(f"cannot {verb} field {name!r}")


def _getter(names: list[str]) -> Any:
    """A function that gives the tuple of some attributes."""
    if len(names) > 1:
        return attrgetter(*names)

    def values(instance: Any) -> tuple[Any, ...]:
        return tuple([getattr(instance, name) for name in names])

    return values


def _constructor(shape: Shape) -> FunctionType:
    from taskora.contracts._record_constructors import constructor_of

    return constructor_of(shape)


def _match_args(shape: Shape) -> tuple[str, ...]:
    return shape.positional


def _twin_fields(shape: Shape) -> Any:
    return shape.twin.__dataclass_fields__


def _twin_params(shape: Shape) -> Any:
    return shape.twin.__dataclass_params__


@recursive_repr()
def _repr(self: object) -> str:
    shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in shape_of(type(self)).shown])
    return f"{type(self).__qualname__}({shown})"


def _eq(self: object, other: object) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    values = shape_of(type(self)).compared
    return values(self) == values(other)


def _hash(self: object) -> int:
    return hash(shape_of(type(self)).hashed(self))


def _setattr(self: object, name: str, value: object) -> None:
    _refuse(self, name, "assign to")
    _set(self, name, value)


def _delattr(self: object, name: str) -> None:
    _refuse(self, name, "delete")
    object.__delattr__(self, name)


def _refuse(instance: object, name: str, verb: str) -> None:
    # What a subclass adds that is no record itself is its own affair; `Generic` notes what it was subscripted with.
    cls = type(instance)
    if _SHAPE in cls.__dict__ or name in shape_of(cls).fields:
        raise frozen_error(name, verb)


def _getstate(self: object) -> list[Any]:
    return [getattr(self, name) for name in _all_names(type(self))]


def _setstate(self: object, state: list[Any]) -> None:
    for name, value in zip(_all_names(type(self)), state, strict=True):
        _set(self, name, value)


def _is_extended(cls: type[Any]) -> bool:
    """Whether a class is a dataclass that inherits from a record: it may have fields that no record knows of."""
    if _SHAPE in cls.__dict__:
        return False
    nearest = next(base for base in cls.__mro__ if "__dataclass_fields__" in base.__dict__)
    return _SHAPE not in nearest.__dict__


def _all_names(cls: type[Any]) -> tuple[str, ...]:
    if not _is_extended(cls):
        return shape_of(cls).names
    from dataclasses import fields

    return tuple([field.name for field in fields(cls)])
