"""What a task may allow, and how batches and older payloads reach a handler."""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest
from pydantic import BaseModel

from packages.worker.tests.workbench import double, find, reach
from taskora.contracts import (
    Collect,
    ExpiredError,
    JobFailedError,
    JobState,
    RateLimit,
    TaskContract,
    UsageError,
    define_task,
    into,
    static_contract,
)
from taskora.producer import AsyncProducer
from taskora.worker import Context, Defaults, Worker
from tests.polling import aeventually

MANY = Defaults(concurrency=10)


class Gauge:
    """A handler that notes how many of it run at once, until it is told to let them go."""

    def __init__(self) -> None:
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.open = asyncio.Event()

    async def __call__(self, data: str) -> str:
        self.running[data] += 1
        self.most[data] = max(self.most[data], self.running[data])
        self.most["all"] = max(self.most["all"], self.running.total())
        await self.open.wait()
        await asyncio.sleep(0)
        self.running[data] -= 1
        return data


word = define_task("word", input=str, output=str)


async def test_a_singleton_runs_one_job_at_a_time_over_all_workers(url: str, outside: AsyncProducer) -> None:
    gauge = Gauge()
    gauge.open.set()
    first, second = Worker(url, defaults=MANY), Worker(url, defaults=MANY)
    for worker in (first, second):
        worker.implement(word, gauge, singleton=True)
    handles = await outside.register(word).dispatch_many(["a"] * 6)
    async with first, second:
        assert await asyncio.gather(*(handle.result("20s") for handle in handles)) == ["a"] * 6
    assert gauge.most["all"] == 1


async def test_a_key_never_exceeds_its_limit_and_holds_nobody_else_up(url: str, outside: AsyncProducer) -> None:
    gauge = Gauge()
    worker = Worker(url, defaults=MANY)
    worker.implement(word, gauge, concurrency_limit=2)
    task = outside.register(word)
    async with worker:
        busy = await task.dispatch_many([task.item("busy", concurrency_key="busy") for _ in range(6)])
        other = await task.dispatch("other", concurrency_key="other", concurrency_limit=1)
        await aeventually(lambda: gauge.running["busy"] == 2 and gauge.running["other"] == 1)
        gauge.open.set()
        await asyncio.gather(*(handle.result("20s") for handle in [*busy, other]))
    assert gauge.most["busy"] == 2
    assert gauge.most["other"] == 1


async def test_jobs_over_a_rate_limit_wait_and_none_is_lost(url: str, outside: AsyncProducer) -> None:
    worker = Worker(url, defaults=MANY)
    gauge = Gauge()
    gauge.open.set()
    worker.implement(word, gauge, rate_limit=RateLimit(max=2, window="100ms"))
    handles = await outside.register(word).dispatch_many(["a"] * 6)
    async with worker:
        assert await asyncio.gather(*(handle.result("20s") for handle in handles)) == ["a"] * 6
    assert gauge.most["all"] <= 2


async def test_a_rate_limit_per_key_counts_keys_apart(url: str, outside: AsyncProducer) -> None:
    worker = Worker(url, defaults=MANY)
    gauge = Gauge()
    worker.implement(word, gauge, rate_limit=RateLimit(max=1, window="1h", key=lambda data: data))
    task = outside.register(word)
    async with worker:
        await task.dispatch_many(["a", "a", "b"])
        await aeventually(lambda: gauge.running == Counter({"a": 1, "b": 1}))
        delayed = await aeventually(lambda: outside.inspector.delayed(word))
        assert [info.data for info in delayed] == ["a"]
        assert [info.attempt for info in delayed] == [1]
        gauge.open.set()


async def test_a_batch_reaches_its_handler_as_a_list_and_a_retry_sees_the_same(url: str) -> None:
    batch = Collect(key="all", delay="50ms", max_size=3)
    notify = define_task("notify", input=int, output=int, collect=batch)
    worker = Worker(url)
    seen: list[list[int]] = []

    @worker.implement(notify, collect=batch)
    async def handle(items: list[int], ctx: Context) -> int:
        seen.append(items)
        if len(seen) == 1:
            raise ctx.retry(delay="1ms")
        return sum(items)

    async with worker, AsyncProducer(url) as producer:
        handles = await producer.register(notify).dispatch_many([1, 2, 3])
        with pytest.raises(JobFailedError):  # one attempt unless a policy says otherwise
            await handles[-1].result("5s")
        assert await producer.dead_letters.retry(handles[-1].id)
        assert await handles[-1].result("5s") == 6
    assert seen == [[1, 2, 3]] * 2


@pytest.mark.parametrize("says", ["contract", "implementation"])
async def test_it_is_enough_that_one_side_says_that_a_task_collects(url: str, says: str) -> None:
    batch = Collect(key="all", delay="50ms", max_size=3)
    worker = Worker(url)

    async def handle(items: list[int]) -> int:
        return sum(items)

    if says == "contract":
        contract: TaskContract[int, int] = define_task("gather", input=int, output=int, collect=batch)
        worker.implement(define_task("gather", input=int, output=int, collect=batch), handle)
    else:
        contract = define_task("gather", input=int, output=int)
        worker.implement(contract, handle, collect=batch)
    async with worker:
        task = worker.register(contract)
        handles = await task.dispatch_many([1, 2, 3])
        assert await handles[-1].result("5s") == 6
        assert await task.peek_collect("all") == []


async def test_a_job_of_a_producer_that_does_not_know_that_a_task_collects_is_a_batch_of_one(
    url: str, outside: AsyncProducer
) -> None:
    worker = Worker(url)
    static = static_contract[list[int], list[list[int]]]("lists")

    @worker.implement(static, collect=Collect(key="all", delay="50ms"))
    async def handle(items: list[list[int]]) -> list[list[int]]:
        return items

    async with worker:
        alone = await outside.register(static).dispatch([1, 2])
        assert await alone.result("5s") == [[1, 2]]
        wrong = await outside.register(static).dispatch(cast("Any", "none"))
        info = await reach(worker, wrong.id, JobState.FAILED)
        assert "Validation failed for the input of task 'lists'" in (info.error or "")


def test_both_sides_must_agree_on_how_a_task_collects() -> None:
    async def handle(items: list[int]) -> int:
        return sum(items)

    contract = define_task("gather", input=int, output=int, collect=Collect(key="all", delay="1s"))
    worker = Worker("memory://")
    with pytest.raises(UsageError, match=r"collect must be what the contract of task 'gather' says, .*delay='1s'"):
        worker.implement(contract, handle, collect=Collect(key="all", delay="2s"))
    worker.implement(contract, handle, collect=Collect(key="all", delay="1000ms"))
    by_function = define_task("keyed", input=int, output=int, collect=Collect(key=str, delay="1s"))
    worker.implement(by_function, handle, collect=Collect(key=lambda number: f"{number}", delay="1s"))


def test_a_task_that_is_registered_already_cannot_begin_to_collect() -> None:
    async def handle(items: list[int]) -> int:
        return sum(items)

    worker = Worker("memory://")
    contract = define_task("gather", input=int, output=int)
    worker.register(contract)
    with pytest.raises(UsageError, match="was registered as one that does not collect"):
        worker.implement(contract, handle, collect=Collect(key="all", delay="1s"))


async def test_items_that_came_in_time_run_together_after_a_pause(url: str) -> None:
    batch = Collect(key=lambda text: text[0], delay="50ms")
    letters = define_task("letters", input=str, output=str, collect=batch)
    worker = Worker(url, defaults=MANY)

    @worker.implement(letters, collect=batch)
    def handle(items: list[str]) -> str:
        return "".join(items)

    async with worker, AsyncProducer(url) as producer:
        handles = await producer.register(letters).dispatch_many(["a1", "b1", "a2"])
        assert await handles[2].result("5s") == "a1a2"
        assert await handles[1].result("5s") == "b1"


class Order(BaseModel):
    cents: int
    currency: str = "EUR"


before = define_task("order", input=dict[str, float], output=str)
after = define_task("order", input=Order, output=str, version=3)


def _cents(old: dict[str, float]) -> dict[str, object]:
    return {"cents": round(old["total"] * 100)}


def _dollars(old: dict[str, object]) -> dict[str, object]:
    return {**old, "currency": "USD"}


STEPS: dict[str, Any] = {
    "in order": [_cents, into(Order, _dollars)],
    "by version, with a gap": {2: _dollars},
}


@pytest.mark.parametrize("steps", STEPS)
async def test_an_older_payload_is_brought_up_to_date(url: str, outside: AsyncProducer, steps: str) -> None:
    worker = Worker(url)

    @worker.implement(after, migrate=STEPS[steps])
    async def handle(order: Order) -> str:
        return f"{order.cents} {order.currency}"

    payload = {"total": 12.5} if steps == "in order" else {"cents": 1250.0}
    job = await outside.register(before).dispatch(payload)
    async with worker:
        assert await job.result("5s") == "1250 USD"


async def test_a_migration_that_fails_fails_the_job_and_keeps_its_payload(memory: str) -> None:
    worker = Worker(memory)

    @worker.implement(after, migrate={1: lambda old: old["nothing"]})
    async def handle(order: Order) -> str:
        return order.currency

    async with worker, AsyncProducer(memory) as producer:
        job = await producer.register(before).dispatch({"total": 1.0})
        info = await reach(worker, job.id, JobState.FAILED)
    assert "migration from version 1 failed: KeyError" in (info.error or "")
    assert info.data == {"total": 1.0}


async def test_a_newer_payload_waits_for_a_newer_worker(url: str, outside: AsyncProducer) -> None:
    job = await outside.register(after).dispatch(Order(cents=1))
    old, new = Worker(url), Worker(url)
    old.implement(before, lambda data: "old")
    async with old:

        async def is_left() -> bool:
            return (await outside.inspector.stats("order"))["order"].newer == 1

        await aeventually(is_left)
    new.implement(after, lambda data: f"new {data.cents}")
    async with new:
        assert await job.result("5s") == "new 1"
    assert (await find(outside, job.id)).attempt == 1


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_records_of_a_handler_go_to_the_log_of_its_job_if_asked(url: str, kind: str) -> None:
    worker = Worker(url, defaults=MANY)
    logger = logging.getLogger("shop.orders")

    def write(data: int) -> int:
        logger.warning("order %d in %s", data, threading.current_thread() is threading.main_thread())
        return data

    async def write_in_loop(data: int) -> int:
        return write(data)

    handler: Callable[..., Any] = write if kind == "thread" else write_in_loop
    worker.implement(double, handler, capture_logs=True)
    async with worker:
        task = worker.register(double)
        first, second = await task.dispatch_many([1, 2])
        await asyncio.gather(first.result("5s"), second.result("5s"))
        logs = [entry for job in (first, second) for entry in await job.logs()]
        outside_of_jobs = len(logs)
        logger.warning("belongs to no job")
        assert len(await first.logs()) + len(await second.logs()) == outside_of_jobs
    in_loop = kind == "async"
    assert [(entry.level, entry.message) for entry in logs] == [
        ("warn", f"order {number} in {in_loop}") for number in (1, 2)
    ]
    assert logs[0].meta == {"logger": "shop.orders", "level": "WARNING"}


WRONG_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"rate_limit": 3}, "rate_limit must be RateLimit"),
    ({"concurrency_limit": 0}, "concurrency_limit must be an integer, 1 or more"),
    ({"collect": "all"}, "collect must be Collect"),
    ({"migrate": "steps"}, "migrate must be"),
    ({"migrate": {7: str}}, "migrate must be from a version"),
    ({"singelton": True}, "option must be one of"),
]


@pytest.mark.parametrize(("options", "told"), WRONG_OPTIONS)
async def test_options_that_break_a_rule_are_refused(memory: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Worker(memory).implement(double, _echo, **options)


async def _echo(data: int) -> int:
    return data


async def test_a_job_that_its_rate_limit_put_back_still_expires(url: str, outside: AsyncProducer) -> None:
    worker = Worker(url, defaults=MANY)
    ran: list[str] = []

    @worker.implement(word, rate_limit=RateLimit(max=1, window="300ms", key=lambda data: data))
    async def handle(data: str) -> str:
        ran.append(data)
        return data

    task = outside.register(word)
    handles = await task.dispatch_many([task.item("a"), task.item("a", ttl="100ms")])
    async with worker:
        assert await handles[0].result("20s") == "a"
        with pytest.raises(ExpiredError):
            await handles[1].result("20s")
    assert ran == ["a"]
