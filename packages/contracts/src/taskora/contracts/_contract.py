"""Contracts: what a task takes, what it gives, and how it is to be run."""

from __future__ import annotations

from enum import Enum
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    Literal,
    TypeAlias,
    TypedDict,
    TypeGuard,
    TypeVar,
    overload,
)

from taskora.contracts._durations import Duration, to_milliseconds
from taskora.contracts._errors import ContractError
from taskora.contracts._flow_control import Collect
from taskora.contracts._names import check_task_name
from taskora.contracts._options import Stall, Ttl, is_integer
from taskora.contracts._retry import Retry
from taskora.contracts._signatures import Step
from taskora.contracts.records import field_names, record

if TYPE_CHECKING:
    from typing import Unpack

    # Type checkers bring these stubs with them; nothing is imported when the program runs. `type[I]` would
    # refuse every annotation that is not a class: `int | None`, `Literal["a"]`, `Annotated[int, ...]`.
    from typing_extensions import TypeForm

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"


UnsetType: TypeAlias = Literal[Unset.UNSET]
UNSET: Final = Unset.UNSET
"""Stands for a type that a contract does not declare, as None is a type that it may declare."""


class PlainOptions(TypedDict, total=False):
    """The options of every contract.

    Keys:
        retry: When failed attempts are run again; None leaves this, as the others, to the worker's defaults.
        timeout: How long one attempt may take, from its claim.
        stall: What happens when a worker dies.
        ttl: How long a job may wait for its first attempt; None for as long as it takes.
        version: Of the payload; 1 or more. Raise it when the shape of the input changes.
    """

    retry: Retry | None
    timeout: Duration | None
    stall: Stall | None
    ttl: Ttl | None
    version: int


class ContractOptions(PlainOptions, total=False):
    """The options that `define_task` and `static_contract` have in common.

    Keys:
        collect: Dispatches gather and run as one job, whose handler takes a list of inputs.
    """

    collect: Collect | None


# Not slotted, so that what inherits from it may have attributes of its own, and `super()` without arguments works.
@record(slots=False)
class TaskContract(Generic[I, O]):
    """What producers and workers of one task agree on. Made by `define_task` or `static_contract`.

    It is data: it holds no handler, imports none, and two processes may hold different copies of it.
    Hashed by name; equal if everything is.

    Attributes:
        name: Name of the task, the same in all processes.
        input: The declared type of the input, as an annotation; `UNSET` if not declared.
        output: The declared type of the output, as an annotation; `UNSET` if not declared.
        retry: When failed attempts are run again; None leaves it to the worker's defaults.
        timeout_ms: How long one attempt may take; None leaves it to the worker's defaults.
        stall: What happens when a worker dies; None leaves it to the worker's defaults.
        ttl: How long a job may wait for its first attempt; None for as long as it takes.
        collect: How dispatches gather into batches; None runs each as a job of its own.
        version: Version of the payload.
        validates_input: Whether producers check inputs before they dispatch them.
    """

    name: str
    input: object = UNSET
    output: object = UNSET
    retry: Retry | None = None
    timeout_ms: int | None = None
    stall: Stall | None = None
    ttl: Ttl | None = None
    collect: Collect | None = None
    version: int = 1
    validates_input: bool = True

    def __post_init__(self) -> None:
        check_task_name(self.name)
        _check_annotation("input", self.input)
        _check_annotation("output", self.output)
        _check_option("retry", self.retry, Retry)
        _check_option("stall", self.stall, Stall)
        _check_option("ttl", self.ttl, Ttl)
        _check_option("collect", self.collect, Collect)
        if not is_integer(self.version) or self.version < 1:
            raise ContractError.for_field("version", self.version, "an integer, 1 or more")

    def __hash__(self) -> int:
        return hash(self.name)

    @overload
    def s(self) -> Step[I, O]: ...
    @overload
    def s(self, data: I) -> Step[object, O]: ...
    def s(self, data: Any = UNSET) -> Step[Any, O]:
        """A step of a workflow: with its input, or without one, to be given what the step before it gives."""
        return Step(self) if data is UNSET else Step(self, data, is_bound=True)


class CollectingContract(TaskContract[I, O]):
    """A contract whose dispatches gather, so that its handler takes a list of inputs. `collect` is never None."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.collect is None:
            raise ContractError.for_field("collect", None, "Collect(...)")


def collecting(contract: TaskContract[I, O], collect: Collect) -> CollectingContract[I, O]:
    """The same contract, but that its dispatches gather."""
    fields: dict[str, Any] = {name: getattr(contract, name) for name in field_names(TaskContract)}
    fields["collect"] = collect
    return CollectingContract(**fields)


@overload
def define_task(
    name: str, *, input: TypeForm[I], output: TypeForm[O], collect: Collect, **options: Unpack[PlainOptions]
) -> CollectingContract[I, O]: ...
@overload
def define_task(
    name: str, *, input: TypeForm[I], collect: Collect, **options: Unpack[PlainOptions]
) -> CollectingContract[I, object]: ...
@overload
def define_task(
    name: str, *, input: TypeForm[I], output: TypeForm[O], **options: Unpack[ContractOptions]
) -> TaskContract[I, O]: ...
@overload
def define_task(name: str, *, input: TypeForm[I], **options: Unpack[ContractOptions]) -> TaskContract[I, object]: ...
@overload
def define_task(name: str, *, output: TypeForm[O], **options: Unpack[ContractOptions]) -> TaskContract[None, O]: ...
@overload
def define_task(name: str, **options: Unpack[ContractOptions]) -> TaskContract[None, object]: ...
def define_task(
    name: str,
    *,
    input: object = None,
    output: object = UNSET,
    retry: Retry | None = None,
    timeout: Duration | None = None,
    stall: Stall | None = None,
    ttl: Ttl | None = None,
    collect: Collect | None = None,
    version: int = 1,
) -> TaskContract[Any, Any]:
    """Define a task: the contract between those who dispatch its jobs and those who run them.

    Args:
        name: 1 to 128 characters out of `A-Z a-z 0-9 . _ -`, the same in all processes.
        input: What a job is given: a model class, or any annotation. Without it, jobs are given nothing.
        output: What a job returns. Without it, a handler may return anything that JSON can hold.
        retry: When failed attempts are run again; None leaves this, as the others, to the worker's defaults.
        timeout: How long one attempt may take.
        stall: What happens when a worker dies.
        ttl: How long a job may wait for its first attempt.
        collect: Dispatches gather and run as one job, whose handler takes a list of inputs.
        version: Of the payload; 1 or more. Raise it when the shape of the input changes.

    Raises:
        ContractError: A name or an option breaks its rule.
    """
    contract: TaskContract[Any, Any] = TaskContract(
        name=name,
        input=input,
        output=output,
        retry=retry,
        timeout_ms=timeout_milliseconds(timeout),
        stall=stall,
        ttl=ttl,
        version=version,
    )
    return contract if collect is None else collecting(contract, collect)


def is_contract(value: object) -> TypeGuard[TaskContract[Any, Any]]:
    """Whether a value is a contract."""
    return isinstance(value, TaskContract)


def timeout_milliseconds(timeout: Duration | None) -> int | None:
    """Return a contract's timeout in milliseconds."""
    return None if timeout is None else to_milliseconds(timeout, field="timeout", error=ContractError)


def _check_annotation(field_name: str, annotation: object) -> None:
    if _is_plain_value(annotation):
        raise ContractError.for_field(field_name, annotation, "a type or another annotation, not a value or a name")


def _is_plain_value(annotation: object) -> bool:
    # Not all that is no annotation can be told from one, but the likely mistakes can: a name, a sample value.
    return isinstance(annotation, str | bytes | int | float | list | tuple | dict | set)


def _check_option(field_name: str, value: object, expected: type) -> None:
    if value is not None and not isinstance(value, expected):
        raise ContractError.for_field(field_name, value, f"{expected.__name__}(...) or None")
