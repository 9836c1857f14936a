"""Records that users meet are validated and serialized as dataclasses are: in responses of an API, for example."""

import json
from typing import Generic, TypeVar

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from taskora.contracts import JobState, Retry
from taskora.contracts.records import field, record
from taskora.producer import JobInfo, TaskStats

T = TypeVar("T")


@record
class Line:
    item: str
    count: int = 1


@record
class Order:
    id: int
    lines: tuple[Line, ...] = ()
    notes: list[str] = field(default_factory=list[str])
    total: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", sum(line.count for line in self.lines))


@record(guarded=False)
class Box(Generic[T]):
    content: T


class Answer(BaseModel):
    order: Order
    retry: Retry | None = None


ORDER = Order(id=3, lines=(Line(item="tea", count=2),))


def test_values_are_validated_into_records() -> None:
    adapter = TypeAdapter(Order)
    assert adapter.validate_python({"id": "3", "lines": [{"item": "tea", "count": 2}]}) == ORDER
    assert adapter.validate_python({"id": 4}) == Order(id=4)
    assert adapter.validate_json('{"id": 4, "notes": ["x"]}') == Order(id=4, notes=["x"])
    assert adapter.validate_python(ORDER) is ORDER


def test_values_that_do_not_fit_are_refused_by_field() -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(Order).validate_python({"id": "x", "lines": [{"count": 1}]})
    assert [error["loc"] for error in raised.value.errors()] == [("id",), ("lines", 0, "item")]


def test_records_are_serialized() -> None:
    whole = {"id": 3, "lines": [{"item": "tea", "count": 2}], "notes": []}  # pydantic leaves `init=False` out
    assert json.loads(TypeAdapter(Order).dump_json(ORDER)) == whole
    assert TypeAdapter(Order).dump_python(ORDER, mode="json") == whole
    assert json.loads(Answer(order=ORDER).model_dump_json()) == {"order": whole, "retry": None}


def test_records_have_a_json_schema() -> None:
    schema = TypeAdapter(Order).json_schema()
    assert schema["required"] == ["id"]
    assert list(schema["properties"]) == ["id", "lines", "notes"]
    assert schema["$defs"]["Line"]["properties"]["count"] == {"default": 1, "title": "Count", "type": "integer"}


def test_generic_records_are_validated_by_their_parameter() -> None:
    assert TypeAdapter(Box[int]).validate_python({"content": "5"}) == Box(content=5)
    with pytest.raises(ValidationError):
        TypeAdapter(Box[int]).validate_python({"content": "x"})


def test_what_an_inspector_says_can_be_a_response() -> None:
    properties = TypeAdapter(JobInfo).json_schema(mode="serialization")["properties"]
    assert {"id", "state", "task"} <= set(properties)
    assert TypeAdapter(TaskStats).json_schema()["type"] == "object"
    assert JobState.ACTIVE.value in TypeAdapter(JobInfo).json_schema()["$defs"]["JobState"]["enum"]
