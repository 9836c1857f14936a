"""Signatures: what shall run, as data. A step runs one task; chains, groups and chords put steps together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeGuard, TypeVar

from taskora.contracts._errors import UsageError
from taskora.contracts.records import field, record

if TYPE_CHECKING:
    from taskora.contracts._contract import TaskContract

I = TypeVar("I", contravariant=True)  # noqa: E741 - input
O = TypeVar("O", covariant=True)  # noqa: E741 - output
R = TypeVar("R")

MAX_STEPS: Final = 10_000
"""How many steps a workflow may have, those that are spawned while it runs included."""

_DEEPEST: Final = 100


class Signature(Generic[I, O]):
    """What shall run, as frozen data: it imports no handler, reaches no server, and may be dispatched again and again.

    The type parameters are what it takes and what it gives. One that has its data already takes anything, so it is a
    `Signature[object, O]`, and only such a one can be dispatched or come first. `a | b` gives the output of `a` to `b`.

    Attributes:
        size: How many steps there are in it.
        depth: How deep compositions are nested in it.
    """

    if TYPE_CHECKING:
        size: int
        depth: int

    def __or__(self, following: Signature[O, R]) -> Chain[I, R]:
        if not is_signature(following):
            return NotImplemented
        steps = self.steps if isinstance(self, Chain) else (self,)
        return Chain((*steps, following))


@record(kw_only=False, slots=False)
class Step(Signature[I, O]):
    """One run of a task, made by `contract.s(data)`, or by `contract.s()` to take what the step before it gives.

    Attributes:
        contract: The task.
        data: Its input.
        is_bound: Whether it has its input; `data` means nothing otherwise.
    """

    contract: TaskContract[Any, Any]
    data: object = None
    is_bound: bool = False
    size: int = field(default=1, init=False, repr=False, compare=False)
    depth: int = field(default=0, init=False, repr=False, compare=False)


@record(kw_only=False, slots=False)
class Chain(Signature[I, O]):
    """Steps that run one after the other; each is given what the one before it gave."""

    steps: tuple[Signature[Any, Any], ...]
    size: int = field(init=False, repr=False, compare=False)
    depth: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _measure(self, "chain", "step", self.steps)


@record(kw_only=False, slots=False)
class Group(Signature[I, O]):
    """Members that run side by side, all with the same input; it gives their outputs in order.

    Attributes:
        members: What runs.
        is_tuple: Whether the outputs come as a tuple, or as a list.
    """

    members: tuple[Signature[Any, Any], ...]
    is_tuple: bool = False
    size: int = field(init=False, repr=False, compare=False)
    depth: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _measure(self, "group", "member", self.members)


@record(kw_only=False, slots=False)
class Chord(Signature[I, O]):
    """A group, and what is given the list of its outputs."""

    header: Group[Any, Any]
    callback: Signature[Any, Any]
    size: int = field(init=False, repr=False, compare=False)
    depth: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _measure(self, "chord", "part", (self.header, self.callback))


def is_signature(value: object) -> TypeGuard[Signature[Any, Any]]:
    """Whether a value is a signature."""
    return isinstance(value, Signature)


def _measure(whole: Chain[Any, Any] | Group[Any, Any] | Chord[Any, Any], kind: str, part: str, parts: Any) -> None:
    """Checks the parts of a composition, and notes how large it is."""
    if not parts:
        raise UsageError(f"a {kind} needs at least one {part}, got none")
    for number, item in enumerate(parts, 1):
        if not is_signature(item):
            rule = "a signature, made by contract.s(...), chain, group or chord"
            raise UsageError.for_field(f"{part} {number} of a {kind}", item, rule)
    size = sum(item.size for item in parts)
    if size > MAX_STEPS:
        raise UsageError(
            f"a workflow may have at most {MAX_STEPS} steps, got {size}: dispatch several, or larger steps"
        )
    depth = 1 + max(item.depth for item in parts)
    if depth > _DEEPEST:
        raise UsageError(f"compositions may be nested at most {_DEEPEST} deep: give a chain all of its steps at once")
    object.__setattr__(whole, "size", size)
    object.__setattr__(whole, "depth", depth)
