"""Which types need no second look: what was validated as one of them, and written, is read as one.

Decision 0092 says why. What is not known here counts as needing it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

Schema: TypeAlias = Mapping[str, Any]

# What a schema may have beside what its type has: none of it decides about a value.
_HARMLESS: Final = frozenset({"type", "ref", "metadata", "strict"})
_NUMBER_RULES: Final = frozenset({"ge", "gt", "le", "lt", "multiple_of"})
_TEXT_RULES: Final = frozenset({"min_length", "max_length", "pattern"})
_LENGTHS: Final = frozenset({"min_length", "max_length"})

# Python prints longer integers, and no parser of JSON that we know reads them.
_SURELY_READABLE: Final = 4_000


def reads_back(schema: Schema) -> bool:
    """Whether whatever fits a schema of pydantic's and was written is read as something that fits.

    With two exceptions, which `is_exceptional` tells by what was written.
    """
    kind = _KINDS.get(str(schema.get("type")))
    return kind is not None and kind(schema)


def is_exceptional(raw: bytes, *, has_floats: bool) -> bool:
    """Whether JSON may hold what is not read as it was written: an endless number, or an integer of endless length.

    NaN and infinity are written as null; without floats, null means None.
    """
    return len(raw) > _SURELY_READABLE or (has_floats and b"null" in raw)


def holds_floats(schema: object) -> bool:
    """Whether there is a float anywhere in a schema that reads back."""
    if isinstance(schema, Mapping):
        known = cast("Schema", schema)
        parts = [part for name, part in known.items() if name != "metadata"]
        return known.get("type") == "float" or any(map(holds_floats, parts))
    return isinstance(schema, list | tuple) and any(map(holds_floats, cast("Sequence[object]", schema)))


def _only(schema: Schema, keys: frozenset[str] = frozenset()) -> bool:
    return schema.keys() <= _HARMLESS | keys


def _with_items(schema: Schema) -> bool:
    items: Schema = schema.get("items_schema", {})
    return _only(schema, _LENGTHS | {"items_schema"}) and reads_back(items)


def _is_tuple(schema: Schema) -> bool:
    items: Sequence[Schema] = schema.get("items_schema", ())
    return _only(schema, _LENGTHS | {"items_schema", "variadic_item_index"}) and all(map(reads_back, items))


def _is_dict(schema: Schema) -> bool:
    """With keys that are plain text. No lengths: keys that were two may have become one."""
    values: Schema = schema.get("values_schema", {})
    only = _only(schema, frozenset({"keys_schema", "values_schema"}))
    return only and schema.get("keys_schema") == {"type": "str"} and reads_back(values)


def _is_typed_dict(schema: Schema) -> bool:
    keys = frozenset({"fields", "cls", "cls_name", "computed_fields", "config", "extra_behavior", "total"})
    if not _only(schema, keys) or schema.get("computed_fields") or schema.get("extra_behavior") == "allow":
        return False
    return schema.get("config", {}).keys() <= {"title"} and all(map(_is_field, schema.get("fields", {}).values()))


def _is_field(field: Schema) -> bool:
    """One that is called the same when it is written and when it is read."""
    return _only(field, frozenset({"schema", "required"})) and reads_back(field["schema"])


def _is_literal(schema: Schema) -> bool:
    return _only(schema, frozenset({"expected"})) and all(type(value) is str for value in schema.get("expected", ()))


def _is_optional(schema: Schema) -> bool:
    return _only(schema, frozenset({"schema"})) and reads_back(schema["schema"])


_KINDS: Final[dict[str, Callable[[Schema], bool]]] = {
    "bool": _only,
    "dict": _is_dict,
    "float": lambda schema: _only(schema, frozenset({"allow_inf_nan"})),
    "int": lambda schema: _only(schema, _NUMBER_RULES),
    "list": _with_items,
    "literal": _is_literal,
    "none": _only,
    "nullable": _is_optional,
    "str": lambda schema: _only(schema, _TEXT_RULES),
    "tuple": _is_tuple,
    "typed-dict": _is_typed_dict,
}
