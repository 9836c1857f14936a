"""Payloads whose bytes are not validated again are those that would be accepted if they were."""

import enum
import math
from types import GenericAlias
from typing import Annotated, Any, Final, Literal, NotRequired, Union

import pydantic
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, AliasGenerator, BaseModel, ConfigDict, Field, PlainSerializer, with_config
from typing_extensions import TypedDict

from taskora.contracts import ValidationError
from taskora.producer import PayloadCodec
from taskora.producer._reading_back import holds_floats, reads_back


class Note(TypedDict):
    text: str
    stars: NotRequired[int | None]


class Shelf(TypedDict, total=False):
    notes: list[Note]
    name: Literal["upper", "lower"]


class Renamed(TypedDict):
    price: Annotated[int, Field(serialization_alias="cost")]


class Secretive(TypedDict):
    seen: int
    hidden: Annotated[int, Field(exclude=True)]


@with_config(ConfigDict(alias_generator=AliasGenerator(serialization_alias=str.upper)))
class Loud(TypedDict):
    word: str


@with_config(ConfigDict(ser_json_inf_nan="strings"))
class Measured(TypedDict):
    degrees: float


@with_config(ConfigDict(extra="allow"))
class Open(TypedDict):
    word: str


class Point(BaseModel):
    x: int


class OddInt(int):
    def __repr__(self) -> str:
        return "odd"

    __str__ = __repr__


class OddText(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "odd"

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__


class OddFloat(float):
    def __float__(self) -> float:
        return math.inf

    def __repr__(self) -> str:
        return "odd"


class OddList(list[Any]):
    def __len__(self) -> int:
        return 3


class Level(enum.IntEnum):
    HIGH = 7


PLAIN: Final = (
    int, str, bool, float, None, Note, Shelf, Literal["a", "b"],
    Annotated[int, Field(gt=2, le=70, multiple_of=7)], Annotated[int, Field(strict=True)],
    Annotated[str, Field(min_length=1, max_length=3)], Annotated[str, Field(pattern="^[a-z]+$")],
    Annotated[float, Field(allow_inf_nan=False)],
    tuple[int, str], tuple[()], Note | None, Annotated[bool, Field(strict=True)],
)  # fmt: skip
# What has to be looked at again: each of these has values that are written as something that does not fit.
DOUBTFUL: Final = (
    Point, Renamed, Secretive, Loud,
    Annotated[str, Field(pattern="^[A-Z]+$"), pydantic.StringConstraints(to_lower=True)],
    Annotated[int, PlainSerializer(str)], Annotated[int, AfterValidator(lambda number: number * 2), Field(lt=30)],
    Annotated[int, PlainSerializer(lambda _: "what")],
)  # fmt: skip
# What could perhaps be let through, and is not.
UNKNOWN: Final = (
    Any, object, bytes, set[int], dict[int, int], int | str, Literal[1], Open, Measured, Level,
    Annotated[dict[str, int], Field(min_length=1)], Annotated[float, Field(gt=1)],
)  # fmt: skip

odd: Final = st.sampled_from([
    2**64, math.nan, math.inf, 1e308, -0.0, "\ud800", "NaN", "null", True, Level.HIGH,
    OddInt(5), OddText("q"), OddFloat(2), OddList([1, 2]), b"raw", Point(x=1), Point.model_construct(x="wrong"),
    {OddText("k"): 1, "k": 2}, {"text": "t", "stars": None, "more": 1}, {"notes": [{"text": "n"}]},
    {"price": 1}, {"seen": 1, "hidden": 2}, {"word": "w", "more": object()}, {"degrees": math.nan},
])  # fmt: skip
endless = st.sampled_from([3990, 4299, 4300, 5000]).map(lambda digits: 10**digits)  # no repr: Python refuses it
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), odd, endless)
keys: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=3), st.integers(), st.sampled_from([OddText("k"), "k", "text"])
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    notes: st.SearchStrategy[Any] = inner.map(lambda value: {"text": "some", "stars": value})
    return st.one_of(st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(keys, inner), notes)


values: st.SearchStrategy[Any] = st.recursive(leaves, containers, max_leaves=6)


def wraps(item: Any) -> list[Any]:
    """Types that are made of another one."""
    items = GenericAlias(list, (item,))
    some = Annotated[items, Field(min_length=1, max_length=2)]  # type: ignore[valid-type]  # made while it runs
    return [items, some, GenericAlias(dict, (str, item)), GenericAlias(tuple, (item, ...)), Union[item, None]]  # noqa: UP007


def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return inner.flatmap(lambda item: st.sampled_from(wraps(item)))


def types(*leaves: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    return st.recursive(st.sampled_from([kind for group in leaves for kind in group]), around, max_leaves=3)


def looked_at_twice(annotation: Any, value: object) -> bytes | None:
    """What is sent when the bytes are validated in any case; None when the value is refused."""
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(annotation)
    try:
        raw = adapter.dump_json(adapter.validate_python(value), by_alias=True, warnings=False)
        adapter.validate_json(raw)
    except (ValueError, TypeError):
        return None
    return raw


def packed(annotation: Any, value: object) -> bytes | None:
    try:
        return PayloadCodec[Any]("t", "input", annotation, None).pack(value)
    except ValidationError:
        return None


def packed_with_another(annotation: Any, value: object) -> bytes | None:
    several: list[bytes] = [b"there before"]
    try:
        PayloadCodec[Any]("t", "input", annotation, None).pack_all([value, value], several)
    except ValidationError:
        assert len(several) == 1
        return None
    assert several == [b"there before", several[1], several[1]]
    return several[1]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(annotation=types(PLAIN, DOUBTFUL, UNKNOWN), value=values)
@example(annotation=dict[str, float], value={"n": math.nan})
@example(annotation=list[float], value=[OddFloat(2)])
@example(annotation=dict[str, int], value={OddText("k"): 1, "k": 2})
@example(annotation=list[Point], value=[Point.model_construct(x="wrong")])
@example(annotation=Renamed, value={"price": 1})
@example(annotation=Secretive, value={"seen": 1, "hidden": 2})
def test_bytes_that_are_not_looked_at_again_would_have_been_accepted(annotation: Any, value: object) -> None:
    assert packed(annotation, value) == packed_with_another(annotation, value) == looked_at_twice(annotation, value)


@settings(max_examples=200, deadline=None)
@given(annotation=types(PLAIN))
def test_types_made_of_plain_ones_need_no_second_look(annotation: Any) -> None:
    assert reads_back(pydantic.TypeAdapter[Any](annotation).core_schema)


@settings(max_examples=200, deadline=None)
@given(annotation=types(PLAIN))
def test_floats_are_found_wherever_a_type_has_them(annotation: Any) -> None:
    assert holds_floats(pydantic.TypeAdapter[Any](annotation).core_schema) == ("float" in repr(annotation))


@settings(max_examples=100, deadline=None)
@given(annotation=st.recursive(st.sampled_from((*DOUBTFUL, *UNKNOWN)), around, max_leaves=3))
def test_types_that_hold_any_other_are_looked_at_again(annotation: Any) -> None:
    assert not reads_back(pydantic.TypeAdapter[Any](annotation).core_schema)


@pytest.mark.parametrize(
    ("annotation", "value"), [(int, 10**5000), (float, math.nan), (list[float], [math.inf])], ids=["int", "nan", "list"]
)
def test_what_json_cannot_hold_is_refused_although_its_type_is_plain(annotation: Any, value: object) -> None:
    with pytest.raises(ValidationError):
        PayloadCodec[Any]("t", "input", annotation, None).pack(value)
