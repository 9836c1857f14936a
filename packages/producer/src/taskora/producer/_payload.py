"""Between a declared type and bytes.

The declared type is whatever the contract names: a pydantic model, a dataclass, a TypedDict, a msgspec Struct, or any
annotation that pydantic can validate. One codec is built per type and contract; building is the expensive part.
"""

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar, cast, get_args

import pydantic
from pydantic_core import PydanticSerializationError

from taskora.contracts import UNSET, ContractError, Issue, TaskContract, ValidationError, preview
from taskora.wire import JsonSerializer, Serializer

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output
T = TypeVar("T")

Subject: TypeAlias = Literal["input", "output"]
_NOTHING: Final = b"null"


class Payloads(Generic[I, O]):
    """Encodes and decodes what a task takes and gives."""

    __slots__ = ("input", "output")

    def __init__(self, contract: TaskContract[I, O], serializer: Serializer | None = None) -> None:
        self.input: Final = PayloadCodec[I](contract.name, "input", contract.input, serializer)
        self.output: Final = PayloadCodec[O](contract.name, "output", contract.output, serializer)


class PayloadCodec(Generic[T]):
    """One declared type of one task.

    Raises:
        ContractError: the type is none that can be validated.
    """

    __slots__ = ("_subject", "_task", "_type")

    def __init__(self, task: str, subject: Subject, annotation: object, serializer: Serializer | None) -> None:
        self._task = task
        self._subject: Subject = subject
        try:
            self._type = _type_codec(object if annotation is UNSET else annotation, serializer)
        except Exception as error:
            raise ContractError(
                f"{subject} of task {task!r} must be a type that pydantic or msgspec can validate, "
                f"got {preview(annotation)}: {error}"
            ) from error

    def validate(self, value: object) -> T:
        """The value as the declared type.

        Raises:
            ValidationError: it does not fit.
        """
        return cast("T", self._checked(self._type.validate, value))

    def encode(self, value: T) -> bytes:
        """The value as bytes, without checking it.

        Raises:
            ValidationError: it has no encoded form.
        """
        return cast("bytes", self._checked(self._type.encode, value))

    def decode(self, raw: bytes) -> T:
        """What `encode` made, validated. An empty payload counts as nothing.

        Raises:
            ValidationError: the bytes are damaged, or do not fit the declared type.
        """
        return cast("T", self._checked(self._type.decode, raw or _NOTHING))

    def _checked(self, step: Callable[[Any], object], value: object) -> object:
        try:
            return step(value)
        except Exception as error:
            issues = _issues_of(error, value)
            if issues is None:
                raise
            raise ValidationError(issues=issues, task=self._task, subject=self._subject) from error


def _issues_of(error: Exception, value: object) -> tuple[Issue, ...] | None:
    if isinstance(error, pydantic.ValidationError):
        return tuple(_pydantic_issue(detail) for detail in error.errors(include_url=False))
    if isinstance(error, PydanticSerializationError | TypeError | ValueError | RecursionError):
        # msgspec's errors and those of a serializer are ValueErrors; their text names the path.
        return (Issue(path=(), message=str(error), rule=type(error).__name__, value=preview(value)),)
    return None


def _pydantic_issue(detail: "ErrorDetails") -> Issue:
    # What pydantic gives for a missing field is the whole object around it, which may hold secrets.
    value = "" if detail["type"] == "missing" else preview(detail["input"])
    return Issue(path=detail["loc"], message=detail["msg"], rule=detail["type"], value=value)


class _PydanticJson:
    """JSON straight to and from bytes, with no plain values between."""

    __slots__ = ("_adapter", "validate")

    def __init__(self, annotation: Any) -> None:
        self._adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(annotation)
        self.validate: Callable[[object], object] = self._adapter.validate_python

    def encode(self, value: object) -> bytes:
        return self._adapter.dump_json(value, by_alias=True, warnings="error")

    def decode(self, raw: bytes) -> object:
        return self._adapter.validate_json(raw)


class _PydanticPlain:
    """Plain values, which a serializer of the user's turns into bytes."""

    __slots__ = ("_adapter", "_serializer", "validate")

    def __init__(self, annotation: Any, serializer: Serializer) -> None:
        self._adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(annotation)
        self._serializer = serializer
        self.validate: Callable[[object], object] = self._adapter.validate_python

    def encode(self, value: object) -> bytes:
        return self._serializer.dumps(self._adapter.dump_python(value, mode="json", by_alias=True, warnings="error"))

    def decode(self, raw: bytes) -> object:
        return self._adapter.validate_python(_load(self._serializer, raw))


class _Msgspec:
    """Types that hold msgspec Structs. msgspec is imported already: somebody defined the Struct with it."""

    __slots__ = ("_annotation", "_serializer")

    def __init__(self, annotation: object, serializer: Serializer | None) -> None:
        self._annotation = annotation
        self._serializer = serializer

    def validate(self, value: object) -> object:
        return _msgspec().convert(_msgspec().to_builtins(value), type=self._annotation)

    def encode(self, value: object) -> bytes:
        if self._serializer is None:
            return cast("bytes", _msgspec().json.encode(value))
        return self._serializer.dumps(_msgspec().to_builtins(value))

    def decode(self, raw: bytes) -> object:
        if self._serializer is None:
            return _msgspec().json.decode(raw, type=self._annotation)
        return _msgspec().convert(_load(self._serializer, raw), type=self._annotation)


def _load(serializer: Serializer, raw: bytes) -> object:
    return None if raw == _NOTHING else serializer.loads(raw)


def _msgspec() -> Any:
    return sys.modules["msgspec"]


def _type_codec(annotation: object, serializer: Serializer | None) -> _PydanticJson | _PydanticPlain | _Msgspec:
    chosen = None if isinstance(serializer, JsonSerializer) else serializer
    if any(hasattr(part, "__struct_fields__") for part in _parts(annotation)):
        return _Msgspec(annotation, chosen)
    return _PydanticJson(annotation) if chosen is None else _PydanticPlain(annotation, chosen)


def _parts(annotation: object) -> Iterator[object]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)
