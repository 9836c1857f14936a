"""Whether what one side writes fits what the other side reads, as far as declared types tell."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic import TypeAdapter

from taskora.contracts import UNSET

Schema: TypeAlias = Mapping[str, Any]

_DEPTH: Final = 8
_NUMBERS: Final = frozenset({"integer", "number"})


def misfits(written: object, read: object, subject: str) -> Iterator[str]:
    """Why values of one annotation do not fit another one; nothing when they do, or when that cannot be told.

    Compares JSON Schemas: fields that are missing, and fields whose types differ. Constraints are not compared.
    """
    if written == read or UNSET in (written, read):
        return
    ours, theirs = _schema(written, "serialization"), _schema(read, "validation")
    if ours is not None and theirs is not None:
        yield from _Comparison(ours, theirs).differences(ours, theirs, subject, _DEPTH)


def _schema(annotation: Any, mode: Literal["serialization", "validation"]) -> Schema | None:
    try:
        return TypeAdapter(annotation).json_schema(mode=mode)
    except Exception:  # noqa: BLE001 - a type that cannot say what it is cannot be compared
        return None


class _Comparison:
    """Two schemas, and where their references lead."""

    def __init__(self, written: Schema, read: Schema) -> None:
        self._written: Final = written
        self._read: Final = read

    def differences(self, written: Schema, read: Schema, path: str, depth: int) -> Iterator[str]:
        """Why what is written is not what is read."""
        written, read = _followed(written, self._written), _followed(read, self._read)
        ours, theirs = written.get("type"), read.get("type")
        if depth == 0 or not isinstance(ours, str) or not isinstance(theirs, str):
            return  # unions and the like: only payloads can tell
        if ours != theirs and not (ours == "integer" and theirs in _NUMBERS):
            yield f"{path} is {_a(ours)} to the one side and {_a(theirs)} to the other"
        elif ours == "object":
            yield from self._fields(written, read, path, depth)
        elif ours == "array" and "items" in written and "items" in read:
            yield from self.differences(written["items"], read["items"], f"{path}[]", depth - 1)

    def _fields(self, written: Schema, read: Schema, path: str, depth: int) -> Iterator[str]:
        ours = cast("Mapping[str, Schema]", written.get("properties", {}))
        theirs = cast("Mapping[str, Schema]", read.get("properties", {}))
        if not ours:
            return  # any keys at all
        for name in cast("list[str]", read.get("required", [])):
            if name not in ours:
                yield f"{path}.{name} is required, and never written"
        if read.get("additionalProperties") is False:
            yield from (f"{path}.{name} is written, and refused" for name in ours if name not in theirs)
        for name in ours.keys() & theirs.keys():
            yield from self.differences(ours[name], theirs[name], f"{path}.{name}", depth - 1)


def _followed(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    return cast("Schema", root.get("$defs", {}).get(reference.rpartition("/")[2], {}))


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aio" else f"a {kind}"
