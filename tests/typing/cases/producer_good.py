"""Types flow from a contract through dispatch to results and events."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_type

from taskora.contracts import JobState, define_task, static_contract
from taskora.producer import (
    AnyJobEvent,
    AsyncBoundTask,
    AsyncEventStream,
    AsyncJobHandle,
    AsyncProducer,
    BoundTask,
    CompletedEvent,
    DispatchItem,
    EventStream,
    FailedEvent,
    JobHandle,
    JobInfo,
    Producer,
    RetryingEvent,
    TaskStats,
)
from taskora.wire import JsonSerializer, LogEntry, SyncBackend
from taskora.wire.backends import MemoryBackend


@dataclass
class Order:
    item: str


@dataclass
class Receipt:
    total: int


orders = define_task("orders", input=Order, output=Receipt)
names = define_task("names", input=list[str], output=int | None)
tick = define_task("tick")
ping = static_contract[Order, Receipt]("ping")


async def asynchronous(backend: MemoryBackend) -> None:
    async with AsyncProducer("redis://localhost", prefix=None, serializer=JsonSerializer()) as producer:
        assert_type(producer, AsyncProducer)
    producer = AsyncProducer(backend, validate_on_dispatch=False, max_payload=10)
    task = producer.register(orders)
    assert_type(task, AsyncBoundTask[Order, Receipt])
    assert_type(producer.register(ping), AsyncBoundTask[Order, Receipt])
    assert_type(producer.register(tick), AsyncBoundTask[None, object])
    assert_type(await producer.register(tick).dispatch(None), AsyncJobHandle[object])
    assert_type(await (await producer.register(names).dispatch(["a"])).result(), int | None)

    handle = await task.dispatch(
        Order("a"), job_id=None, delay="5s", priority=1, ttl=timedelta(seconds=1), skip_validation=True
    )
    assert_type(handle, AsyncJobHandle[Receipt])
    assert_type(handle.id, str)
    assert_type(handle.enqueued, bool)
    assert_type(handle.existing_id, str | None)
    assert_type(await handle.result(timeout="5s"), Receipt)
    assert_type(await handle.state(), JobState | None)
    assert_type(await handle.progress(), object)
    assert_type(await handle.logs(), tuple[LogEntry, ...])
    assert_type(await handle.cancel(reason="why"), bool)

    assert_type(task.item(Order("c"), delay=5), DispatchItem[Order])
    assert_type(
        await task.dispatch_many([Order("a"), task.item(Order("c"), delay="5s")]), list[AsyncJobHandle[Receipt]]
    )
    assert_type(await task.dispatch_many(Order(name) for name in "ab"), list[AsyncJobHandle[Receipt]])
    assert_type(task.job("x"), AsyncJobHandle[Receipt])

    assert_type(producer.events(orders), AsyncEventStream[Receipt])
    assert_type(aiter(task.events()), AsyncIterator[AnyJobEvent[Receipt]])
    async for event in producer.events(orders):
        react(event)

    assert_type(await producer.inspector.find("x"), JobInfo | None)
    assert_type(await producer.inspector.find(orders, "x"), JobInfo | None)
    assert_type(await producer.inspector.failed(orders, limit=1, offset=2), list[JobInfo])
    assert_type(await producer.inspector.stats(), dict[str, TaskStats])
    assert_type(await producer.dead_letters.list("orders"), list[JobInfo])
    assert_type(await producer.dead_letters.retry(orders, "x"), bool)
    assert_type(await producer.dead_letters.retry_all(), int)
    assert_type(await producer.dead_letters.discard("x"), bool)


def synchronous(backend: SyncBackend) -> None:
    with Producer(backend) as producer:
        task = producer.register(orders)
        assert_type(task, BoundTask[Order, Receipt])
        assert_type(task.dispatch(Order("a"), delay=1.5), JobHandle[Receipt])
        assert_type(task.dispatch(Order("a")).result(timeout=5), Receipt)
        assert_type(task.dispatch_many([Order("a"), task.item(Order("b"))]), list[JobHandle[Receipt]])
        assert_type(task.job("x").state(), JobState | None)
        assert_type(producer.events(orders), EventStream[Receipt])
        assert_type(iter(task.events()), Iterator[AnyJobEvent[Receipt]])
        for event in producer.events(orders):
            react(event)
        assert_type(producer.inspector.find("orders", "x"), JobInfo | None)
        assert_type(producer.dead_letters.retry("x"), bool)


def react(event: AnyJobEvent[Receipt]) -> None:
    assert_type(event.job_id, str)
    match event:
        case CompletedEvent():
            assert_type(event.result, Receipt | None)
            assert_type(event.duration_ms, int | None)
        case FailedEvent():
            assert_type(event.will_retry, bool)
        case RetryingEvent():
            assert_type(event.next_attempt_ms, int)
        case _:
            assert_type(event.timestamp_ms, int)
