"""How plain values become bytes."""

import json
from typing import Final, Protocol, cast, runtime_checkable

from taskora.contracts import UsageError
from taskora.wire._job import dump_json

LONGEST_NAME: Final = 64
_MARK: Final = b"\0"  # JSON cannot begin with it
_LONGEST_LABEL: Final = 4 * LONGEST_NAME + 2


@runtime_checkable
class Serializer(Protocol):
    """Turns plain values (None, bool, int, float, str, list, dict) into bytes and back. Data only: never code.

    All programs that share a task must use the same one. Payloads of one that is not JSON carry its name: its attribute
    `name` if there is one, else the name of its class. A subclass of `JsonSerializer` is JSON.
    """

    def dumps(self, value: object) -> bytes:
        """Encodes a plain value."""
        ...

    def loads(self, raw: bytes) -> object:
        """Decodes what `dumps` made. Raises `ValueError` on anything else."""
        ...


class JsonSerializer:
    """JSON in UTF-8, compact, as every other implementation of the wire format reads and writes it."""

    def dumps(self, value: object) -> bytes:
        """Encodes a plain value; NaN and infinities become null."""
        return dump_json(value)

    def loads(self, raw: bytes) -> object:
        """Decodes JSON; nothing at all counts as null, since other programs store an empty payload that way."""
        return json.loads(raw) if raw else None


class WrongSerializerError(ValueError):
    """A payload was written with one serializer and read with another."""

    def __init__(self, *, writer: str, reader: str) -> None:
        super().__init__(
            f"written with serializer {writer}, but read with {reader}: "
            "give all producers and workers of a task the same serializer="
        )


class LabelledSerializer:
    """Puts the name of a serializer in front of what it writes, so that no other one takes it for its own.

    Without that, some payloads of one format are valid in another, and mean something else: the text of the number 1
    in JSON is the number 49 in MessagePack.
    """

    def __init__(self, inner: Serializer) -> None:
        self.name: Final = _name_of(inner)
        self.label: Final = _MARK + self.name.encode() + _MARK
        self._inner: Final = inner

    def dumps(self, value: object) -> bytes:
        """The label, and what the serializer makes of the value."""
        raw = cast("object", self._inner.dumps(value))
        if not isinstance(raw, bytes):
            raise TypeError(f"it must return bytes, not {type(raw).__name__}")
        return self.label + raw

    def loads(self, raw: bytes) -> object:
        """Decodes what `dumps` made.

        Raises:
            WrongSerializerError: the label is missing, or another one.
        """
        error = wrong_serializer(raw, self)
        if error is not None:
            raise error
        return self._inner.loads(raw[len(self.label) :])


def labelled(serializer: Serializer | None) -> Serializer | None:
    """The serializer as payloads need it: JSON as it is, any other one with its label.

    Raises:
        UsageError: it has a name that is none.
    """
    if serializer is None or isinstance(serializer, JsonSerializer | LabelledSerializer):
        return serializer
    return LabelledSerializer(serializer)


def wrong_serializer(raw: bytes, reader: Serializer) -> WrongSerializerError | None:
    """The error for a payload that another serializer wrote; None if the reader did, as far as can be known."""
    label, name = (reader.label, repr(reader.name)) if isinstance(reader, LabelledSerializer) else (b"", "JSON")
    if not raw or (raw.startswith(label) if label else not raw.startswith(_MARK)):
        return None
    return WrongSerializerError(writer=_describe_writer(raw), reader=name)


def writer_of(raw: bytes) -> str | None:
    """The name that a payload carries; None when it carries none, as JSON does."""
    if not raw.startswith(_MARK):
        return None
    name, closed, _ = raw[1:_LONGEST_LABEL].partition(_MARK)
    return name.decode("utf-8", "backslashreplace") if closed else None


def _describe_writer(raw: bytes) -> str:
    name = writer_of(raw)
    if name is not None:
        return repr(name)
    return "JSON" if _is_json(raw) else "unknown (it left no name, and this is not JSON)"


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True


def _name_of(serializer: Serializer) -> str:
    # A module or a class may also have the two functions; its own name says more than that of its type.
    default: object = getattr(serializer, "__name__", type(serializer).__name__)
    name: object = getattr(serializer, "name", default)
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise UsageError.for_field("serializer.name", name, f"1 to {LONGEST_NAME} printable characters")
    return name
