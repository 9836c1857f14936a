"""Between a declared type and bytes.

The declared type is whatever the contract names: a pydantic model, a dataclass, a TypedDict, a msgspec Struct, or any
annotation that pydantic can validate. One codec is built per type and contract; building is the expensive part.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NoReturn, TypeAlias, TypeVar, cast, get_args

from taskora.contracts import UNSET, ContractError, Issue, TaskContract, UsageError, ValidationError, preview
from taskora.producer._serializing import NOTHING, dump, load
from taskora.wire import (
    JsonSerializer,
    Serializer,
    WrongSerializerError,
    labelled,
    wrong_serializer,
)

if TYPE_CHECKING:
    from taskora.producer._pydantic_codecs import PydanticJson, PydanticPlain

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output
T = TypeVar("T")

Subject: TypeAlias = Literal["input", "output"]
_PATH_PART: Final = re.compile(r"\.([^.\[]+)|\[([^\]]*)\]")


class Payloads(Generic[I, O]):
    """Encodes and decodes what a task takes and gives. `batch` is for the inputs of a task that collects."""

    __slots__ = ("batch", "input", "output")

    def __init__(self, contract: TaskContract[I, O], serializer: Serializer | None = None) -> None:
        self.input: Final = PayloadCodec[I](contract.name, "input", contract.input, serializer)
        self.output: Final = PayloadCodec[O](contract.name, "output", contract.output, serializer)
        self.batch: Final = _batch_codec(contract, serializer)


def _batch_codec(contract: TaskContract[I, O], serializer: Serializer | None) -> "PayloadCodec[list[I]] | None":
    if contract.collect is None:
        return None
    if serializer is not None and not isinstance(serializer, JsonSerializer):
        raise UsageError(f"task {contract.name!r} collects, which needs JSON: its items are joined as text")
    item: Any = object if contract.input is UNSET else contract.input
    return PayloadCodec["list[I]"](contract.name, "input", list[item], serializer)


def check_serializer(serializer: Serializer | None) -> Serializer | None:
    """Returns a serializer that is one, as payloads need it, or None; `UsageError` otherwise."""
    if serializer is None or all(callable(getattr(serializer, name, None)) for name in ("dumps", "loads")):
        return labelled(serializer)
    raise UsageError.for_field("serializer", serializer, "an object with the methods dumps and loads, or None")


class PayloadCodec(Generic[T]):
    """One declared type of one task.

    Raises:
        ContractError: the type is none that can be validated.
    """

    __slots__ = ("_plain", "_subject", "_task", "_type")

    def __init__(self, task: str, subject: Subject, annotation: object, serializer: Serializer | None) -> None:
        self._task = task
        self._subject: Subject = subject
        chosen = labelled(serializer)
        self._plain: Serializer = chosen or JsonSerializer()
        try:
            self._type = _type_codec(object if annotation is UNSET else annotation, chosen)
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
        try:
            return cast("T", self._type.validate(value))
        except Exception as error:  # noqa: BLE001 - raised again, as it is or as what it means
            self._refuse(error, value)

    def pack(self, value: object) -> bytes:
        """The value as bytes that are certain to be read as the declared type.

        Validating the value alone would not do: instances of models and dataclasses are taken as they are, whatever
        was assigned to their fields, and not everything that has an encoded form reads back as what it was. So the
        bytes are validated too, unless the type says that they fit.

        Raises:
            ValidationError: it does not fit, or has no encoded form that does.
        """
        try:
            return self._type.pack(value)
        except Exception as error:  # noqa: BLE001 - as above
            self._refuse(error, value)

    def pack_all(self, values: Sequence[object], packed: list[bytes]) -> None:
        """Appends what `pack` makes of each value to `packed`, whose length tells afterwards which one was refused.

        Raises:
            ValidationError: one does not fit, or has no encoded form that does.
        """
        before = len(packed)
        try:
            self._type.pack_all(values, packed)
        except Exception as error:  # noqa: BLE001 - as above
            self._refuse(error, values[len(packed) - before])

    def encode_all(self, values: Sequence[T], packed: list[bytes]) -> None:
        """The same with `encode`."""
        for value in values:
            packed.append(self.encode(value))  # noqa: PERF401 - what is there tells which one failed

    def encode(self, value: T) -> bytes:
        """The value as bytes, without checking it.

        Raises:
            ValidationError: it has no encoded form.
        """
        try:
            return self._type.encode(value)
        except Exception as error:  # noqa: BLE001 - as above
            self._refuse(error, value)

    def decode(self, raw: bytes) -> T:
        """What `encode` made, validated. An empty payload counts as nothing.

        Raises:
            ValidationError: the bytes are damaged, or do not fit the declared type.
        """
        try:
            return cast("T", self._type.decode(raw or NOTHING))
        except Exception as error:  # noqa: BLE001 - as above
            self._refuse(error, raw or NOTHING, raw)

    def decode_plain(self, raw: bytes) -> object:
        """What `encode` made, as plain values, not validated.

        Raises:
            ValidationError: the bytes are damaged.
        """
        try:
            return load(self._plain, raw) if raw else None
        except Exception as error:  # noqa: BLE001 - as above
            self._refuse(error, raw, raw)

    def encode_plain(self, value: object) -> bytes:
        """Plain values as bytes, whatever they are.

        Raises:
            ValidationError: they have no encoded form.
        """
        try:
            return dump(self._plain, value)
        except Exception as error:  # noqa: BLE001 - as above
            self._refuse(error, value)

    def _refuse(self, error: Exception, value: object, stored: bytes = b"") -> NoReturn:
        """Raises what is wrong with a value, or an error that is not about it; `stored` is what was decoded, if any."""
        # Looked at only now: what another serializer wrote is never valid here.
        issues = _issues_of(wrong_serializer(stored, self._plain) or error, value)
        if issues is None:
            raise error
        raise ValidationError(issues=issues, task=self._task, subject=self._subject) from error


def _issues_of(error: Exception, value: object) -> tuple[Issue, ...] | None:
    if "pydantic" in sys.modules:
        from taskora.producer._pydantic_codecs import pydantic_issues

        issues = pydantic_issues(error)
        if issues is not None:
            return issues
    if isinstance(error, WrongSerializerError):
        return (Issue(path=(), message=str(error), rule="serializer"),)
    if isinstance(error, TypeError | ValueError | RecursionError):
        path, message = _split_path(str(error))
        return (Issue(path=path, message=message, rule=type(error).__name__, value="" if path else preview(value)),)
    return None


def _split_path(text: str) -> tuple[tuple[str | int, ...], str]:
    """Path and message of an error text; msgspec ends its own with the path, as in "... - at `$.items[0].price`"."""
    message, found, rest = text.rpartition(" - at `$")
    if not found:
        return (), text
    parts = _PATH_PART.findall(rest.removesuffix("`"))
    return tuple(int(index) if index.isdecimal() else index or name for name, index in parts), message


class _Msgspec:
    """Types that hold msgspec Structs."""

    __slots__ = ("_annotation", "_decoder", "_encoder", "_msgspec", "_serializer")

    def __init__(self, annotation: object, serializer: Serializer | None) -> None:
        self._msgspec: Any = sys.modules["msgspec"]  # imported already: somebody defined the Struct with it
        self._annotation = annotation
        self._serializer = serializer
        self._encoder = self._msgspec.json.Encoder()
        self._decoder = self._msgspec.json.Decoder(annotation)

    def validate(self, value: object) -> object:
        return self._convert(self._plain(value))

    def encode(self, value: object) -> bytes:
        if self._serializer is None:
            return cast("bytes", self._encoder.encode(value))
        return dump(self._serializer, self._plain(value))

    def pack(self, value: object) -> bytes:
        raw = self.encode(self.validate(value))
        self.decode(raw)
        return raw

    def pack_all(self, values: Iterable[object], packed: list[bytes]) -> None:
        for value in values:
            packed.append(self.pack(value))  # noqa: PERF401 - what is there tells which one failed

    def decode(self, raw: bytes) -> object:
        if self._serializer is None:
            return self._decoder.decode(raw)
        return self._convert(load(self._serializer, raw))

    def _plain(self, value: object) -> object:
        return self._msgspec.to_builtins(value, str_keys=True)

    def _convert(self, plain: object) -> object:
        return self._msgspec.convert(plain, type=self._annotation, str_keys=True)


def _type_codec(annotation: object, serializer: Serializer | None) -> "PydanticJson | PydanticPlain | _Msgspec":
    # A subclass may write JSON in a way of its own.
    chosen = None if type(serializer) is JsonSerializer else serializer
    if any(hasattr(part, "__struct_fields__") for part in _parts(annotation)):
        return _Msgspec(annotation, chosen)
    from taskora.producer._pydantic_codecs import PydanticJson, PydanticPlain

    return PydanticJson(annotation) if chosen is None else PydanticPlain(annotation, chosen)


def _parts(annotation: object) -> Iterator[object]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)
