"""Dispatching many jobs: one round trip per batch."""

import asyncio
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator

from packages.producer.tests.playing import MANY, Order, Storage, Surface, anything, orders
from taskora.contracts import BackendError, Ttl, UsageError, ValidationError, define_task
from taskora.producer import AsyncProducer
from taskora.producer._dispatching import BATCH_BYTES, batch_length, batches
from taskora.wire import AlikeJobs, NewJob


def script_calls(storage: Storage) -> int:
    with storage.raw() as raw:
        stats: Any = raw.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))


def test_handles_come_in_the_order_of_the_items(surface: Surface, producer: Any, task: Any) -> None:
    handles = surface.do(task.dispatch_many([Order("a"), Order("b"), task.item(Order("c"), job_id="third")]))
    waiting = surface.do(producer.inspector.waiting("orders"))
    assert [info.id for info in waiting] == [handle.id for handle in handles]
    assert [info.data["item"] for info in waiting] == ["a", "b", "c"]
    assert handles[2].id == "third"
    assert all(handle.enqueued for handle in handles)


def test_items_have_options_of_their_own(surface: Surface, task: Any) -> None:
    items = [Order("a"), task.item(Order("b"), delay="1m"), task.item(Order("c"), job_id="x", priority=3)]
    handles = surface.do(task.dispatch_many(items))
    assert [surface.do(handle.state()) for handle in handles] == ["waiting", "delayed", "waiting"]


def test_an_id_twice_in_one_batch_is_created_once(surface: Surface, task: Any) -> None:
    handles = surface.do(task.dispatch_many([task.item(Order("a"), job_id="x"), task.item(Order("b"), job_id="x")]))
    assert [handle.enqueued for handle in handles] == [True, False]


def test_an_error_of_whatever_kind_says_at_which_item(surface: Surface, producer: Any) -> None:
    names = {"eur": "eur"}
    currency = Annotated[str, AfterValidator(lambda name: names[name])]
    task = producer.register(define_task("rates", input=currency))
    with pytest.raises(KeyError) as raised:
        surface.do(task.dispatch_many(["eur", "gbp"]))
    assert raised.value.__notes__ == ["item 1 of the batch; nothing was dispatched"]


def test_an_iterator_will_do(surface: Surface, task: Any) -> None:
    assert len(surface.do(task.dispatch_many(Order(str(number)) for number in range(3)))) == 3


def test_nothing_is_no_work(surface: Surface, storage: Storage, task: Any) -> None:
    assert surface.do(task.dispatch_many([])) == []
    assert storage.keys() == set()


@pytest.mark.parametrize(
    ("bad", "error"),
    [({"job_id": "a:b"}, UsageError), ({"priority": 1000}, UsageError), ({}, ValidationError)],
)
def test_one_bad_item_refuses_all(surface: Surface, storage: Storage, task: Any, bad: Any, error: Any) -> None:
    spoiled = task.item(Order("b") if bad else Order("b", MANY), **bad)
    with pytest.raises(error):
        surface.do(task.dispatch_many([Order("a"), spoiled]))
    assert storage.keys() == set()


def test_a_batch_is_one_call_and_a_large_one_is_split(surface: Surface, redis_storage: Storage) -> None:
    with surface.producer(redis_storage.url) as producer:
        task = producer.register(orders)
        surface.do(task.dispatch(Order("first")))  # the handshake is over, and the script is loaded
        before = script_calls(redis_storage)
        surface.do(task.dispatch_many([Order("a")] * 1000))
        assert script_calls(redis_storage) - before == 1
        surface.do(task.dispatch_many([Order("a")] * 1001))
        assert script_calls(redis_storage) - before == 3
        assert surface.do(producer.inspector.stats("orders"))["orders"].waiting == 2002


def job(size: int) -> NewJob:
    return NewJob(job_id="x", data=b"x" * size)


def test_a_batch_is_bounded_in_bytes_too() -> None:
    half = BATCH_BYTES // 2
    assert batch_length([job(half), job(half), job(1)]) == 2
    assert batch_length([job(BATCH_BYTES + 1), job(1)]) == 1
    assert [len(batch) for batch in batches([job(half)] * 5)] == [2, 2, 1]
    assert list(batches([])) == []
    alike = AlikeJobs([str(n) for n in range(5)], [b"x" * half] * 5, ttl_ms=7)
    parts = list(batches(alike))
    assert [part.job_ids for part in parts if type(part) is AlikeJobs] == [["0", "1"], ["2", "3"], ["4"]]
    assert all(part.ttl_ms == 7 for part in parts if type(part) is AlikeJobs)


@pytest.mark.parametrize("ttl", [None, Ttl(max="5m")])
def test_a_batch_without_options_is_stored_as_its_jobs_would_be_alone(
    surface: Surface, redis_storage: Storage, ttl: Ttl | None
) -> None:
    """With time to live, payloads of several lengths, and one handle that leads to each."""
    contract = define_task("notes", input=list[str], output=int, ttl=ttl)
    payloads = [["x" * length] for length in (0, 5, 60, 61, 70, 900, 1500, 5)]
    with surface.producer(redis_storage.url) as producer:
        task = producer.register(contract)
        handles = surface.do(task.dispatch_many(payloads))
        for handle, payload in zip(handles, payloads, strict=True):
            lone = surface.do(task.dispatch(payload))
            together, alone = (surface.do(producer.inspector.find(one.id)) for one in (handle, lone))
            assert handle.enqueued
            assert together.data == alone.data == payload
            assert together.fields.keys() == alone.fields.keys()
            assert ("expireAt" in together.fields) == (ttl is not None)
            for name in together.fields.keys() - {"ts", "expireAt"}:
                assert together.fields[name] == alone.fields[name]


def test_a_payload_that_is_too_large_is_named_by_its_place_in_the_batch(surface: Surface, storage: Storage) -> None:
    with surface.producer(storage.url, max_payload=100) as producer:
        task = producer.register(define_task("notes", input=list[str]))
        with pytest.raises(UsageError) as refused:
            surface.do(task.dispatch_many([["a"], ["b" * 200], ["c" * 300]]))
        assert refused.value.__notes__ == ["item 1 of the batch; nothing was dispatched"]


async def test_concurrent_dispatches_share_round_trips(redis_storage: Storage) -> None:
    async with AsyncProducer(redis_storage.url) as producer:
        task = producer.register(orders)
        await task.dispatch(Order("first"))
        before = script_calls(redis_storage)
        handles = await asyncio.gather(*(task.dispatch(Order(str(number))) for number in range(500)))
        assert script_calls(redis_storage) - before == 2
        assert len({handle.id for handle in handles}) == 500
        assert all(handle.enqueued for handle in handles)


async def test_concurrent_dispatches_of_one_id_create_one_job(redis_storage: Storage) -> None:
    async with AsyncProducer(redis_storage.url) as producer:
        task = producer.register(orders)
        handles = await asyncio.gather(*(task.dispatch(Order("a"), job_id="x") for _ in range(20)))
        assert sum(handle.enqueued for handle in handles) == 1
        assert {handle.id for handle in handles} == {"x"}


async def test_a_cancelled_dispatch_does_not_disturb_the_others(redis_storage: Storage) -> None:
    async with AsyncProducer(redis_storage.url) as producer:
        task = producer.register(orders)
        await task.dispatch(Order("first"))
        calls = [asyncio.ensure_future(task.dispatch(Order(str(number)))) for number in range(20)]
        await asyncio.sleep(0)
        for call in calls[::4]:  # the leader among them
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        kept = [result for result in results if not isinstance(result, BaseException)]
        assert len(kept) == 15
        assert all([await handle.state() == "waiting" for handle in kept])


async def test_an_outage_is_told_to_every_caller(redis_storage: Storage) -> None:
    async with AsyncProducer("redis://127.0.0.1:1") as producer:
        task = producer.register(anything)
        results = await asyncio.gather(*(task.dispatch(1) for _ in range(5)), return_exceptions=True)
        assert [type(result) for result in results] == [BackendError] * 5
