"""Handlers of tasks that collect take lists, whoever says that they collect."""

from dataclasses import dataclass
from typing import assert_type

from taskora.contracts import Collect, CollectingContract, TaskContract, define_task, static_contract
from taskora.producer import AsyncJobHandle, AsyncProducer
from taskora.worker import Context, Worker, WorkerTask


@dataclass
class Message:
    text: str


batch = Collect(key="chat", delay="2s")
plain = define_task("plain", input=Message, output=int)
gathers = define_task("gathers", input=Message, output=int, collect=batch, version=2)
untyped_output = define_task("untyped-output", input=Message, collect=batch)
static = static_contract[Message, int]("static")

assert_type(plain, TaskContract[Message, int])
assert_type(gathers, CollectingContract[Message, int])
assert_type(untyped_output, CollectingContract[Message, object])

worker = Worker("memory://")


@worker.implement(gathers)
async def by_contract(messages: list[Message], ctx: Context) -> int:
    return len(messages)


@worker.implement(gathers, collect=batch, concurrency=2)
async def by_both(messages: list[Message]) -> int:
    return len(messages)


@worker.implement(plain, collect=batch)
async def by_implementation(messages: list[Message], ctx: Context) -> int:
    return len(messages)


@worker.implement(static, collect=batch)
def in_a_thread(messages: list[Message]) -> int:
    return len(messages)


async def one(message: Message) -> int:
    return len(message.text)


async def stop(messages: list[Message], ctx: Context) -> None: ...


worker.implement(gathers)(one)  # E: mypy,pyright
worker.implement(plain, collect=batch)(one)  # E: mypy,pyright
worker.implement(plain)(by_contract)  # E: mypy,pyright
worker.implement(gathers, by_both, on_cancel=stop)
worker.implement(plain, by_implementation, collect=batch, on_cancel=stop)
assert_type(worker.implement(gathers, by_contract), WorkerTask[Message, int])
assert_type(worker.register(gathers), WorkerTask[Message, int])


async def dispatching(producer: AsyncProducer) -> None:
    task = producer.register(gathers)
    assert_type(await task.dispatch(Message("hi")), AsyncJobHandle[int])
    await task.dispatch([Message("hi")])  # E: mypy,pyright
