"""Payload types as pydantic sees them. Importing this imports pydantic, which nobody needs who registers no task."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pydantic
from pydantic_core import to_json

from taskora.contracts import Issue, preview
from taskora.producer._reading_back import holds_floats, is_exceptional, reads_back
from taskora.producer._serializing import dump, load
from taskora.wire import Serializer

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class PydanticJson:
    """JSON straight to and from bytes, with no plain values between."""

    __slots__ = ("_dump", "_has_floats", "_reads_back", "decode", "validate")

    def __init__(self, annotation: Any) -> None:
        # The adapter's own methods would look at arguments that nobody gives.
        adapter = _adapter(annotation)
        self.validate: Callable[[object], object] = adapter.validator.validate_python
        self.decode: Callable[[bytes], object] = adapter.validator.validate_json
        self._dump: Callable[..., bytes] = adapter.serializer.to_json
        self._reads_back = reads_back(adapter.core_schema)
        self._has_floats = self._reads_back and holds_floats(adapter.core_schema)

    def encode(self, value: object) -> bytes:
        return self._dump(value, by_alias=True, warnings=False)  # the word "none" means the same and costs far more

    def pack(self, value: object) -> bytes:
        raw = self._dump(self.validate(value), by_alias=True, warnings=False)
        if not self._reads_back or is_exceptional(raw, has_floats=self._has_floats):
            self.decode(raw)
        return raw

    def pack_all(self, values: Iterable[object], packed: list[bytes]) -> None:
        """`pack` for each: as one function, since what is around it costs as much as pydantic."""
        validate, dump, looks_again, has_floats = self.validate, self._dump, not self._reads_back, self._has_floats
        for value in values:
            raw = dump(validate(value), by_alias=True, warnings=False)
            if looks_again or is_exceptional(raw, has_floats=has_floats):
                self.decode(raw)
            packed.append(raw)


class PydanticPlain:
    """Plain values, which a serializer of the user's turns into bytes."""

    __slots__ = ("_adapter", "_serializer", "validate")

    def __init__(self, annotation: Any, serializer: Serializer) -> None:
        self._adapter = _adapter(annotation)
        self._serializer = serializer
        self.validate: Callable[[object], object] = self._adapter.validate_python

    def encode(self, value: object) -> bytes:
        plain = self._adapter.dump_python(value, mode="json", by_alias=True, warnings=False)
        return dump(self._serializer, plain)

    def pack(self, value: object) -> bytes:
        raw = self.encode(self.validate(value))
        self.decode(raw)
        return raw

    def pack_all(self, values: Iterable[object], packed: list[bytes]) -> None:
        for value in values:
            packed.append(self.pack(value))  # noqa: PERF401 - what is there tells which one failed

    def decode(self, raw: bytes) -> object:
        # As JSON, because only there a strict type accepts what a date or a UUID has become as a plain value.
        return self._adapter.validate_json(to_json(load(self._serializer, raw), inf_nan_mode="constants"))


def _adapter(annotation: Any) -> pydantic.TypeAdapter[Any]:
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(annotation)
    if not adapter.pydantic_complete:  # a forward reference: better refused now than by the first payload
        adapter.rebuild(raise_errors=True)
    return adapter


def pydantic_issues(error: Exception) -> tuple[Issue, ...] | None:
    """What is wrong with a value, if it was pydantic that said so."""
    if not isinstance(error, pydantic.ValidationError):
        return None
    return tuple(_issue(detail) for detail in error.errors(include_url=False))


def _issue(detail: "ErrorDetails") -> Issue:
    # What pydantic gives for a missing field is the whole object around it, which may hold secrets.
    value = "" if detail["type"] == "missing" else preview(detail["input"])
    return Issue(path=detail["loc"], message=detail["msg"], rule=detail["type"], value=value)
