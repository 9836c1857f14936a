import functools
from dataclasses import dataclass
from typing import Annotated, Any

import pydantic
import pytest

from taskora.contracts import Retry, UsageError, ValidationError, chord
from taskora.worker import Worker


@dataclass
class Person:
    name: str


class Adder:
    """A handler that is an object."""

    def __init__(self, amount: int) -> None:
        self.amount = amount

    async def __call__(self, data: int) -> int:
        return data + self.amount


async def add(amount: int, data: int) -> int:
    return data + amount


@pytest.fixture
def idle(memory: str) -> Worker:
    """A worker that is not started."""
    return Worker(memory)


async def test_inline_tasks_are_composed_like_contracts(url: str) -> None:
    worker = Worker(url)

    @worker.task("double")
    async def double(data: int) -> int:
        return data * 2

    @worker.task("total")
    def total(data: list[int]) -> int:
        return sum(data)

    async with worker:
        flow = await worker.producer.dispatch(chord([double.s(1), double.s(2) | double.s()], total.s()))
        assert await flow.result("10s") == 10


async def test_an_inline_task_takes_its_contract_from_the_annotations(url: str) -> None:
    worker = Worker(url)

    @worker.task("greet", retry=Retry(attempts=4), version=2)
    async def greet(data: Person) -> str:
        return f"hello {data.name}"

    assert (greet.contract.input, greet.contract.output, greet.contract.version) == (Person, str, 2)
    async with worker:
        handle = await greet.dispatch(Person("you"))
        assert await handle.result("5s") == "hello you"
        info = await worker.producer.inspector.find(greet.contract, handle.id)
    assert info is not None
    assert (info.max_attempts, info.version) == (4, 2)


async def test_an_inline_task_may_take_and_give_nothing(memory: str) -> None:
    worker = Worker(memory)
    seen: list[object] = []

    @worker.task("tick")
    def tick(data: None) -> None:
        seen.append(data)

    async with worker:
        await (await tick.dispatch(None)).result("5s")
    assert seen == [None]


async def test_an_inline_task_keeps_constraints_in_its_annotations(idle: Worker) -> None:
    @idle.task("count")
    async def count(data: Annotated[int, pydantic.Field(gt=0)]) -> int:
        return data

    with pytest.raises(ValidationError, match="greater than 0"):
        await count.dispatch(0)


def _without_input(data) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001 - what is tested
    return 3


def _without_output(data: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - what is tested
    return 3


def _with_unknown(data: "Nowhere") -> int:  # type: ignore[name-defined]  # noqa: F821 - what is tested
    return 3


INLINE_MISTAKES: list[tuple[Any, str]] = [
    (_without_input, "'missing' must annotate 'data'"),
    (_without_output, "'missing' must annotate 'return'"),
    (_with_unknown, "cannot be evaluated: name 'Nowhere' is not defined"),
    (lambda: 3, "must take"),
]


@pytest.mark.parametrize(("handler", "message"), INLINE_MISTAKES, ids=range(len(INLINE_MISTAKES)))
def test_an_inline_task_without_usable_annotations_is_refused(handler: Any, message: str) -> None:
    worker = Worker("memory://")
    with pytest.raises(UsageError, match=message):
        worker.task("missing")(handler)


async def test_an_inline_task_may_be_a_partial_or_an_object(memory: str) -> None:
    worker = Worker(memory)
    twelve = worker.task("twelve")(Adder(12))
    thirteen = worker.task("thirteen")(functools.partial(add, 13))
    async with worker:
        assert await (await twelve.dispatch(1)).result("5s") == 13
        assert await (await thirteen.dispatch(1)).result("5s") == 14
