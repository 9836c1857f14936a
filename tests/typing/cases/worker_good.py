"""What workers accept, and what is inferred of it."""

import functools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, assert_type

from taskora.contracts import Retry, Stall, Ttl, define_task, static_contract
from taskora.producer import AsyncBoundTask, AsyncJobHandle, AsyncProducer, CompletedEvent, FailedEvent, JobEvent
from taskora.worker import (
    CallNext,
    Context,
    Defaults,
    Implement,
    Keep,
    Retention,
    Worker,
    WorkerEvent,
    WorkerTask,
)


@dataclass
class Order:
    item: str


@dataclass
class RushOrder(Order):
    hours: int


@dataclass
class Receipt:
    total: int


@dataclass
class DetailedReceipt(Receipt):
    lines: list[str]


contract = define_task("orders", input=Order, output=Receipt)
untyped = define_task("untyped", input=Order)
nothing = define_task("nothing", output=None)
union = define_task("union", input=int | None, output=list[str] | None)
static = static_contract[Order, Receipt]("static")

worker = Worker(
    "redis://localhost",
    defaults=Defaults(retry=Retry(attempts=3), timeout=30, concurrency=4, stall=Stall(max_count=2)),
    retention=Retention(completed=Keep(max_age="1h", max_items=10)),
    lease="30s",
)
assert_type(worker.producer, AsyncProducer)


# Decorators return the handler unchanged
assert_type(worker.implement(contract), Implement[Order, Receipt])


@worker.implement(contract)
async def with_data(data: Order) -> Receipt:
    return Receipt(1)


@worker.implement(
    contract, concurrency=10, retry=Retry(attempts=2), timeout="5s", ttl=Ttl(max="1h"), version=2, since=1
)
async def with_context(data: Order, ctx: Context) -> Receipt:
    return Receipt(ctx.attempt)


@worker.implement(contract, executor="thread")
def in_thread(data: Order) -> Receipt:
    return Receipt(1)


@worker.implement(contract, executor="process")
def in_process(data: Order, ctx: Context) -> Receipt:
    return Receipt(1)


running = assert_type(with_data(Order("a")), Coroutine[Any, Any, Receipt])
assert_type(in_thread(Order("a")), Receipt)


# A handler may take more, and give less, than the contract says
@worker.implement(contract)
async def wider(data: object) -> DetailedReceipt:
    return DetailedReceipt(1, [])


@worker.implement(untyped)
async def gives_anything(data: Order) -> int:
    return 3


@worker.implement(nothing)
async def gives_nothing(data: None) -> None:
    return None


@worker.implement(union)
def of_union(data: int | None) -> list[str] | None:
    return None


@worker.implement(static)
async def of_static(data: Order) -> Receipt:
    return Receipt(1)


class Handlers:
    async def one(self, data: Order) -> Receipt:
        return Receipt(1)

    def two(self, data: Order, ctx: Context) -> Receipt:
        return Receipt(1)


class Handler:
    async def __call__(self, data: Order, ctx: Context) -> Receipt:
        return Receipt(1)


async def with_settings(factor: int, data: Order) -> Receipt:
    return Receipt(factor)


# Calls return the task
assert_type(worker.implement(contract, with_data), WorkerTask[Order, Receipt])
assert_type(worker.implement(contract, with_context), WorkerTask[Order, Receipt])
assert_type(worker.implement(contract, in_thread), WorkerTask[Order, Receipt])
assert_type(worker.implement(contract, in_process), WorkerTask[Order, Receipt])
assert_type(worker.implement(contract, Handlers().one), WorkerTask[Order, Receipt])
assert_type(worker.implement(contract, Handlers().two), WorkerTask[Order, Receipt])
assert_type(worker.implement(contract, Handler()), WorkerTask[Order, Receipt])
assert_type(worker.implement(contract, functools.partial(with_settings, 2)), WorkerTask[Order, Receipt])
assert_type(worker.implement(untyped, gives_anything), WorkerTask[Order, object])
assert_type(worker.implement(nothing, gives_nothing), WorkerTask[None, None])
assert_type(worker.implement(union, of_union), WorkerTask[int | None, list[str] | None])
assert_type(worker.register(static), WorkerTask[Order, Receipt])
bound: AsyncBoundTask[Order, Receipt] = worker.register(contract)


# Hooks
async def async_hook(data: Order, ctx: Context) -> None: ...


def hook(data: Order, ctx: Context) -> int:
    return 1


def hook_for_all(data: object, ctx: Context) -> None: ...


worker.implement(contract, with_data, on_cancel=async_hook)
worker.implement(contract, with_data, on_cancel=hook)
worker.implement(contract, with_data, on_cancel=hook_for_all)
worker.implement(contract, on_cancel=hook)(with_data)
worker.implement(contract, with_data, on_cancel=None)


# Inline tasks
@worker.task("greet", retry=Retry(attempts=2), concurrency=3)
async def greet(data: Order) -> Receipt:
    return Receipt(1)


@worker.task("count")
def count(data: list[int], ctx: Context) -> int:
    return sum(data)


@worker.task("tell")
async def tell(data: str, ctx: Context) -> None: ...


assert_type(greet, WorkerTask[Order, Receipt])
assert_type(count, WorkerTask[list[int], int])
assert_type(tell, WorkerTask[str, None])


async def use() -> None:
    assert_type(await greet.dispatch(Order("a")), AsyncJobHandle[Receipt])
    assert_type(await (await greet.dispatch(Order("a"))).result("5s"), Receipt)
    assert_type(await (await count.dispatch([1])).result(timeout=5), int)
    assert_type(await (await worker.register(contract).dispatch(RushOrder("a", 1))).result(), Receipt)
    assert_type([await handle.result() for handle in await count.dispatch_many([[1], [2]])], list[int])
    assert_type(await (await worker.producer.register(contract).dispatch(Order("a"))).result(), Receipt)
    async with worker as started:
        assert_type(started, Worker)
    await worker.close(timeout="1s")
    await worker.close(timeout=None)


# Middleware is returned unchanged
@worker.use
async def middleware(ctx: Context, call_next: CallNext) -> None:
    ctx.data = 1
    assert_type(await call_next(), object)
    ctx.result = 2


worker.implement(contract, middleware=[middleware, middleware])(with_data)


# Listeners
@worker.register(contract).on("completed")
def completed(event: CompletedEvent[Receipt]) -> None:
    assert_type(event.result, Receipt | None)


@worker.on("task:failed")
async def failed(event: FailedEvent) -> None:
    assert_type(event.will_retry, bool)


@worker.on("task:completed")
def any_completed(event: JobEvent) -> None: ...


@worker.on("worker:error")
def trouble(event: WorkerEvent) -> None:
    assert_type(event.error, BaseException | None)


def context(ctx: Context) -> None:
    assert_type(ctx.id, str)
    assert_type(ctx.attempt, int)
    assert_type(ctx.data, object)
    assert_type(ctx.cancelled.reason, str | None)
    ctx.progress({"done": 1})
    ctx.log.info("text", key=[1])
    raise ctx.retry(delay="5s", reason="later")


wrapped: Callable[[Order], Coroutine[Any, Any, Receipt]] = worker.implement(contract)(with_data)
