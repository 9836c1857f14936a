"""Tasks that are declared by a function take their types from it."""

from dataclasses import dataclass
from typing import assert_type

from taskora.producer import AsyncJobHandle
from taskora.worker import Context, Worker, WorkerTask


@dataclass
class Person:
    name: str


worker = Worker("memory://typing")


@worker.task("greet")
async def greet(data: Person) -> str:
    return data.name


@worker.task("greet-with-context", concurrency=2)
async def greet_with_context(data: Person, ctx: Context) -> str:
    return f"{data.name} {ctx.attempt}"


@worker.task("count")
def count(data: list[int]) -> int:
    return len(data)


@worker.task("count-with-context")
def count_with_context(data: list[int], ctx: Context) -> int:
    return len(data) + ctx.attempt


assert_type(greet, WorkerTask[Person, str])
assert_type(greet_with_context, WorkerTask[Person, str])
assert_type(count, WorkerTask[list[int], int])
assert_type(count_with_context, WorkerTask[list[int], int])


async def use() -> None:
    assert_type(await greet.dispatch(Person("Ada")), AsyncJobHandle[str])
    await greet.dispatch("Ada")  # E: mypy,pyright


@worker.task("three")  # E: mypy,pyright
def three(data: int, ctx: Context, more: int) -> None: ...
