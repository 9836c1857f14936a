"""Between declared types and bytes."""

import math
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired

import msgspec
import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from taskora.contracts import ContractError, Issue, ValidationError
from taskora.producer import PayloadCodec
from taskora.wire import JsonSerializer


class Address(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    zip_code: str = Field(alias="zipCode")


class Person(BaseModel):
    full_name: str = Field(alias="fullName")
    homes: list[Address] = []
    born: datetime | None = None


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    id: uuid.UUID
    at: datetime
    tags: set[str]


class Colour(Enum):
    RED = "red"


@dataclass
class Line:
    sku: str
    price: Decimal
    count: Annotated[int, Field(gt=0)] = 1


@dataclass
class Basket:
    lines: list[Line] = field(default_factory=list[Line])
    colour: Colour = Colour.RED


class Note(TypedDict):
    text: str
    stars: NotRequired[int]


class Point(msgspec.Struct):
    x: int
    label: str = ""


class Shape(msgspec.Struct, rename="camel"):
    corner_points: list[Point]
    seen_at: datetime | None = None


class Reversed:
    """A serializer that is not JSON: it can be told apart, and undone."""

    def dumps(self, value: object) -> bytes:
        return b"!" + JsonSerializer().dumps(value)[::-1]

    def loads(self, raw: bytes) -> object:
        if raw[:1] != b"!":
            raise EOFError("not reversed")
        return JsonSerializer().loads(raw[:0:-1])


class Refusing:
    """A serializer with errors of its own."""

    def dumps(self, value: object) -> bytes:
        raise KeyError("cannot")

    def loads(self, raw: bytes) -> object:
        raise EOFError("cannot")


def codec(annotation: object, serializer: Any = None) -> PayloadCodec[Any]:
    return PayloadCodec[Any]("t", "input", annotation, serializer)


NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
KEY = uuid.UUID(int=7)
ROUND_TRIPS: list[tuple[Any, Any]] = [
    (None, None),
    (type(None), None),
    (int, 2**60),
    (str, "grüße 🎉 \u2028 \x00"),
    (bool, True),
    (bytes, b"abc"),
    (list[int], [1, 2]),
    (dict[int, str], {1: "a"}),
    (tuple[int, str], (1, "a")),
    (int | None, None),
    (Literal["a", "b"], "b"),
    (object, {"any": [1, None, "x"]}),
    (Any, [1.5, {"a": True}]),
    (Colour, Colour.RED),
    (datetime, NOON),
    (uuid.UUID, KEY),
    (Person, Person(fullName="Ö", homes=[Address(zipCode="1")], born=NOON)),
    (list[Person], [Person(fullName="a")]),
    (Person | None, Person(fullName="a")),
    (Strict, Strict(id=KEY, at=NOON, tags={"a"})),
    (Basket, Basket([Line("a", Decimal("1.10"), 2)])),
    (dict[str, Line], {"k": Line("a", Decimal("0.1"))}),
    (Note, {"text": "a"}),
    (Note, {"text": "a", "stars": 5}),
    (Point, Point(1, "ä")),
    (list[Point], [Point(1), Point(2)]),
    (Point | None, None),
    (dict[int, Point], {3: Point(4)}),
    (Shape, Shape([Point(1)], NOON)),
]


@pytest.mark.parametrize("serializer", [None, JsonSerializer(), Reversed()], ids=["default", "json", "reversed"])
@pytest.mark.parametrize(("annotation", "value"), ROUND_TRIPS)
def test_what_is_packed_reads_back_as_what_it_was(annotation: Any, value: Any, serializer: Any) -> None:
    it = codec(annotation, serializer)
    raw = it.pack(value)
    assert raw == it.encode(value)
    assert it.decode(raw) == value
    assert raw.startswith(b"\0Reversed\0!") is isinstance(serializer, Reversed)


@pytest.mark.parametrize(
    ("annotation", "value", "raw"),
    [
        (Person, Person(fullName="Ö"), '{"fullName":"Ö","homes":[],"born":null}'.encode()),
        (Shape, Shape([Point(1)]), b'{"cornerPoints":[{"x":1,"label":""}],"seenAt":null}'),
        (None, None, b"null"),
        (float | None, math.nan, b"null"),
        (object, [math.inf], b"[null]"),
    ],
)
def test_what_is_written_is_compact_json_by_alias(annotation: Any, value: Any, raw: bytes) -> None:
    assert codec(annotation).pack(value) == raw


@pytest.mark.parametrize("annotation", [None, object, int | None, Point | None])
@pytest.mark.parametrize("serializer", [None, Reversed()])
def test_an_empty_payload_and_null_are_nothing(annotation: Any, serializer: Any) -> None:
    assert codec(annotation, serializer).decode(b"") is None
    assert codec(annotation, serializer).decode(b"null") is None


BAD: list[tuple[Any, Any, tuple[str | int, ...], str, str]] = [
    (int, "x", (), "int_parsing", "'x'"),
    (list[int], [1, "x"], (1,), "int_parsing", "'x'"),
    (Person, {"homes": [{}]}, ("fullName",), "missing", ""),
    (Basket, {"lines": [{"sku": "a", "price": "1", "count": 0}]}, ("lines", 0, "count"), "greater_than", "0"),
    (Note, {"text": 3}, ("text",), "string_type", "3"),
    (Point, {"x": "one"}, ("x",), "ValidationError", ""),
    (Shape, {"cornerPoints": [{"x": 1}, {"x": "b"}]}, ("cornerPoints", 1, "x"), "ValidationError", ""),
    (list[Point], [Point(1), 5], (1,), "ValidationError", ""),
]


@pytest.mark.parametrize(("annotation", "value", "path", "rule", "shown"), BAD)
def test_an_issue_says_where_what_and_which_rule(
    annotation: Any, value: Any, path: tuple[str | int, ...], rule: str, shown: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        codec(annotation).pack(value)
    issue: Issue = caught.value.issues[0]
    assert (issue.path, issue.rule, issue.value) == (path, rule, shown)
    assert issue.message
    assert (caught.value.task, caught.value.subject) == ("t", "input")


SPOILED: list[tuple[Any, Any, tuple[str | int, ...]]] = [
    # Instances are taken as they are by a validator: only reading back what was written finds them out.
    (Line, Line("a", Decimal(1), -1), ("count",)),
    (Line, Line("a", "many"), ("price",)),  # type: ignore[arg-type]
    (Basket, Basket([Line("a", Decimal(1), 0)]), ("lines", 0, "count")),
    (Person, Person.model_construct(), ("fullName",)),
    (Point, Point("x"), ("x",)),  # type: ignore[arg-type]
    (float, math.nan, ()),
]


@pytest.mark.parametrize(("annotation", "value", "path"), SPOILED)
@pytest.mark.parametrize("serializer", [None, Reversed()], ids=["json", "reversed"])
def test_an_instance_that_breaks_its_own_rules_is_found_out(
    annotation: Any, value: Any, path: Any, serializer: Any
) -> None:
    if serializer is not None and annotation is float:
        pytest.skip("a serializer may have a form for NaN")
    with pytest.raises(ValidationError) as caught:
        codec(annotation, serializer).pack(value)
    assert caught.value.issues[0].path == path


@pytest.mark.parametrize(
    ("annotation", "value"), [(Line, {"sku": 5}), (Person, {"x": 1}), (Line, Line("a", Decimal(1), -1)), (int, "seven")]
)
def test_encoding_alone_checks_nothing(annotation: Any, value: Any) -> None:
    assert codec(annotation).encode(value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(object, object()), (object, "\ud800"), (bytes, b"\xff\xfe"), (Point, object()), (object, {"x": {1: lambda: 1}})],
)
def test_what_has_no_encoded_form_is_refused(annotation: Any, value: Any) -> None:
    with pytest.raises(ValidationError, match="input of task 't'"):
        codec(annotation).encode(value)


@pytest.mark.parametrize("raw", [b"{", b"\xff", b'{"sku":', b"[" * 100_000, b"nul"])
@pytest.mark.parametrize("annotation", [Line, object, Point, list[Point]])
@pytest.mark.parametrize("serializer", [None, Reversed(), Refusing()])
def test_damaged_bytes_are_a_validation_error(annotation: Any, raw: bytes, serializer: Any) -> None:
    with pytest.raises(ValidationError):
        codec(annotation, serializer).decode(raw)


@pytest.mark.parametrize("annotation", [Line, Point])
def test_errors_of_a_serializer_name_it(annotation: Any) -> None:
    it = codec(annotation, Refusing())
    value = Line("a", Decimal(1)) if annotation is Line else Point(1)
    with pytest.raises(ValidationError, match=r"Refusing\.dumps: KeyError: 'cannot'"):
        it.encode(value)
    with pytest.raises(ValidationError, match=r"Refusing\.loads: EOFError: cannot"):
        it.decode(b"\0Refusing\0x")


def test_a_forward_reference_that_nothing_defines_is_refused_when_the_codec_is_made() -> None:
    class Open(BaseModel):
        other: "Undefined"  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ContractError, match="input of task 't' must be a type"):
        codec(Open)


def test_a_bug_in_a_validator_is_not_hidden() -> None:
    def explode(value: object) -> object:
        raise KeyError("bug")

    with pytest.raises(KeyError, match="bug"):
        codec(Annotated[int, pydantic.BeforeValidator(explode)]).pack(1)


def test_validating_returns_the_declared_type() -> None:
    assert codec(Line).validate({"sku": "a", "price": "1"}) == Line("a", Decimal(1))
    assert codec(Point).validate({"x": 1}) == Point(1)
