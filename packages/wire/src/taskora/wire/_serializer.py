"""How plain values become bytes."""

import json
from typing import Protocol, runtime_checkable

from taskora.wire._job import dump_json


@runtime_checkable
class Serializer(Protocol):
    """Turns plain values (None, bool, int, float, str, list, dict) into bytes and back. Data only: never code.

    Nothing in the storage says which serializer wrote a payload, so all programs that share one must agree.
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
