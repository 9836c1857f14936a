"""Waiting in an event loop: many waits, one reader, and whatever may go wrong with it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from packages.producer.tests.playing import Order, Player, Receipt, Storage, anything, orders, wait_until_blocked
from taskora.contracts import BackendError, JobTimeoutError, UsageError
from taskora.producer import AsyncBoundTask, AsyncProducer
from taskora.wire import OutcomeKind, ReadStatuses
from taskora.wire.backends import MemoryBackend
from tests.polling import aeventually

FAST = 30
NEVER = 600_000


@pytest.fixture(params=["redis", "memory"])
async def producer(request: pytest.FixtureRequest, redis_storage: Storage) -> AsyncIterator[AsyncProducer]:
    async with AsyncProducer(redis_storage.url if request.param == "redis" else MemoryBackend()) as made:
        yield made


@pytest.fixture
def task(producer: AsyncProducer) -> AsyncBoundTask[Order, Receipt]:
    return producer.register(orders)


@pytest.fixture
def worker(producer: AsyncProducer) -> Iterator[Player]:
    backend = producer._session.backend.blocking()
    yield Player(backend)
    backend.close()


def recheck_every(monkeypatch: pytest.MonkeyPatch, milliseconds: int) -> None:
    monkeypatch.setattr("taskora.producer._waiting.RECHECK_MS", milliseconds)
    monkeypatch.setattr("taskora.producer._awaiting.RECHECK_MS", milliseconds)


async def begun(producer: AsyncProducer, *waits: "asyncio.Task[Any]") -> None:
    """Let waits begin: all have looked at their jobs once, and found them unfinished."""
    hub = producer._session._outlet.hub

    def all_wait() -> bool:
        waiting = sum(len(waiters) for jobs in hub._waiters.values() for waiters in jobs.values())
        assert not any(wait.done() for wait in waits)
        return waiting == len(waits) and hub._reader is not None

    await aeventually(all_wait)


async def test_many_waits_end_each_with_its_own_result(
    producer: AsyncProducer, task: AsyncBoundTask[Order, Receipt], worker: Player
) -> None:
    handles = await task.dispatch_many([Order(str(number)) for number in range(50)])
    waits = [asyncio.ensure_future(handle.result(timeout=30)) for handle in handles]
    await begun(producer, *waits)
    for number in range(50):
        worker.complete(b'{"total":%d}' % number)
    assert await asyncio.gather(*waits) == [Receipt(number) for number in range(50)]
    assert producer._session._outlet.hub._waiters == {}


async def test_waits_for_one_job_share_its_end(
    producer: AsyncProducer, task: AsyncBoundTask[Order, Receipt], worker: Player
) -> None:
    handle = await task.dispatch(Order("a"))
    waits = [asyncio.ensure_future(handle.result()) for _ in range(10)]
    await begun(producer, *waits)
    waits[0].cancel()
    worker.complete()
    assert await asyncio.gather(*waits[1:]) == [Receipt(7)] * 9
    assert waits[0].cancelled()


async def test_an_event_that_is_missed_is_found_by_looking_again(
    redis_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    recheck_every(monkeypatch, FAST)
    async with AsyncProducer(redis_storage.url) as producer:
        handle = await producer.register(orders).dispatch(Order("a"))
        wait = asyncio.ensure_future(handle.result(timeout=30))
        await begun(producer, wait)
        with redis_storage.raw() as raw:
            raw.hset(f"taskora:{{orders}}:{handle.id}", mapping={"state": "completed", "result": '{"total":1}'})
        assert await wait == Receipt(1)


async def test_looking_again_does_not_wait_for_a_quiet_stream(
    redis_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    recheck_every(monkeypatch, FAST)
    async with AsyncProducer(redis_storage.url) as producer:
        handle = await producer.register(orders).dispatch(Order("a"))
        wait = asyncio.ensure_future(handle.result(timeout=30))
        await begun(producer, wait)
        with redis_storage.raw() as raw:
            raw.delete(f"taskora:{{orders}}:{handle.id}")

            def noise() -> bool:
                raw.xadd("taskora:{orders}:events", {"event": "progress", "jobId": "other", "value": "1"})
                return wait.done()

            await aeventually(noise, deadline=30)
        with pytest.raises(Exception, match=f"No job '{handle.id}'"):
            await wait


async def test_many_waits_for_many_tasks_share_connections(redis_storage: Storage, redis_player: Player) -> None:
    async with AsyncProducer(redis_storage.url) as producer:
        first, second = producer.register(orders), producer.register(anything)
        handles: list[Any] = [*await first.dispatch_many([Order("a")] * 100), *await second.dispatch_many([1] * 100)]
        waits = [asyncio.ensure_future(handle.result()) for handle in handles]
        await begun(producer, *waits)
        with redis_storage.raw() as raw:
            assert len(await asyncio.to_thread(wait_until_blocked, raw)) == 1
            clients: Any = raw.client_list()
            assert len(clients) <= 16 + 1 + 2  # commands, one feed; the worker and this test
        for name in ("orders", "anything"):
            for claim in redis_player.claim(name, slots=100):
                redis_player.settle(claim, OutcomeKind.COMPLETED, b'{"total":1}', task=name)
        results = await asyncio.gather(*waits)
        assert results == [Receipt(1)] * 100 + [{"total": 1}] * 100


async def test_a_wait_begins_with_few_round_trips(redis_storage: Storage) -> None:
    async with AsyncProducer(redis_storage.url) as producer:
        handles = await producer.register(orders).dispatch_many([Order("a")] * 150)

        def calls() -> int:
            with redis_storage.raw() as raw:
                stats: Any = raw.info("commandstats")
            return int(stats["cmdstat_evalsha"]["calls"]) if "cmdstat_evalsha" in stats else 0

        before = calls()
        waits = [asyncio.ensure_future(handle.result()) for handle in handles]
        await begun(producer, *waits)
        with redis_storage.raw() as raw:
            await asyncio.to_thread(wait_until_blocked, raw)
        await aeventually(lambda: not producer._session._outlet.hub._checks["orders"]._sending)
        assert calls() - before <= 6
        for wait in waits:
            wait.cancel()


async def test_waits_outlast_lost_connections(redis_storage: Storage, redis_player: Player) -> None:
    async with AsyncProducer(redis_storage.url) as producer:
        handle = await producer.register(orders).dispatch(Order("a"))
        wait = asyncio.ensure_future(handle.result(timeout=30))
        with redis_storage.raw() as raw:
            for _ in range(3):
                for client in await asyncio.to_thread(wait_until_blocked, raw):
                    raw.client_kill_filter(_id=client["id"])
            await asyncio.to_thread(wait_until_blocked, raw)
        redis_player.complete()
        assert await wait == Receipt(7)


async def test_a_connection_that_is_lost_together_with_the_event_costs_nothing(
    redis_storage: Storage, redis_player: Player
) -> None:
    async with AsyncProducer(redis_storage.url) as producer:
        handle = await producer.register(orders).dispatch(Order("a"))
        wait = asyncio.ensure_future(handle.result(timeout=30))
        with redis_storage.raw() as raw:
            (client,) = await asyncio.to_thread(wait_until_blocked, raw)
            raw.client_kill_filter(_id=client["id"])
            redis_player.complete()
        assert await wait == Receipt(7)


class Spy:
    """A backend that is another one, until the test breaks something."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.feed_error: BaseException | None = None
        self.status_error: BaseException | None = None
        self.feeds = 0
        self.closing: asyncio.Event | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def run(self, operation: Any) -> Any:
        if self.status_error is not None and isinstance(operation, ReadStatuses):
            raise self.status_error
        return await self.inner.run(operation)

    def open_feed(self) -> "SpyFeed":
        self.feeds += 1
        return SpyFeed(self, self.inner.open_feed())


class SpyFeed:
    def __init__(self, spy: Spy, inner: Any) -> None:
        self.spy, self.inner = spy, inner

    async def read(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> Any:
        if self.spy.feed_error is not None:
            raise self.spy.feed_error
        return await self.inner.read(positions, block_ms=block_ms, limit=limit)

    async def interrupt(self) -> None:
        await self.inner.interrupt()

    async def close(self) -> None:
        await self.inner.close()
        if self.spy.closing is not None:
            await self.spy.closing.wait()


@pytest.fixture
def spy() -> Any:
    return Spy(MemoryBackend())


async def test_a_feed_that_never_works_still_leaves_looking_again(spy: Any) -> None:
    spy.feed_error = BackendError("XREAD is not allowed")
    async with AsyncProducer(spy) as producer:
        handle = await producer.register(orders).dispatch(Order("a"))
        wait = asyncio.ensure_future(handle.result(timeout=30))
        await begun(producer, wait)
        Player(spy.inner.blocking()).complete()
        assert await wait == Receipt(7)


@pytest.mark.parametrize("part", ["feed_error", "status_error"])
async def test_a_bug_in_the_reader_is_raised_to_whoever_waits(
    spy: Any, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recheck_every(monkeypatch, FAST)
    async with AsyncProducer(spy) as producer:
        task = producer.register(orders)
        handle = await task.dispatch(Order("a"))
        waits = [asyncio.ensure_future(handle.result()) for _ in range(3)]
        await begun(producer, *waits)
        setattr(spy, part, RuntimeError("a bug"))
        for result in await asyncio.gather(*waits, return_exceptions=True):
            assert repr(result) == "RuntimeError('a bug')"
        setattr(spy, part, None)
        wait = asyncio.ensure_future(handle.result(timeout=30))
        await begun(producer, wait)
        Player(spy.inner.blocking()).complete()
        assert await wait == Receipt(7)
        assert spy.feeds == 2


async def test_a_wait_that_begins_without_a_server_fails_at_once(spy: Any) -> None:
    spy.status_error = BackendError("away")
    async with AsyncProducer(spy) as producer:
        with pytest.raises(BackendError, match="away"):
            await producer.register(orders).job("x").result()
        with pytest.raises(BackendError, match="away"):
            await producer.register(orders).job("x").result(timeout=0)


async def test_a_wait_that_has_begun_outlasts_an_outage_until_its_deadline(
    spy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recheck_every(monkeypatch, FAST)
    async with AsyncProducer(spy) as producer:
        handle = await producer.register(orders).dispatch(Order("a"))
        wait = asyncio.ensure_future(handle.result(timeout="300ms"))
        await begun(producer, wait)
        spy.feed_error = spy.status_error = BackendError("away")
        with pytest.raises(JobTimeoutError) as caught:
            await wait
        assert isinstance(caught.value.__cause__, BackendError)


async def test_a_wait_that_begins_while_the_reader_ends_is_not_lost(spy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recheck_every(monkeypatch, FAST)
    async with AsyncProducer(spy) as producer:
        task = producer.register(orders)
        hub = producer._session._outlet.hub
        first = await task.dispatch(Order("a"))
        spy.closing = asyncio.Event()
        with pytest.raises(JobTimeoutError):
            await first.result(timeout="10ms")
        await aeventually(lambda: hub._reader is None)
        assert len(hub._readers) == 1  # it is still closing its feed
        recheck_every(monkeypatch, NEVER)
        wait = asyncio.ensure_future(first.result(timeout=30))
        await begun(producer, wait)
        Player(spy.inner.blocking()).complete()
        assert await wait == Receipt(7)
        spy.closing.set()


async def test_the_reader_ends_when_nobody_waits_any_more(spy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recheck_every(monkeypatch, FAST)
    async with AsyncProducer(spy) as producer:
        task = producer.register(orders)
        hub = producer._session._outlet.hub
        for round_ in range(3):
            with pytest.raises(JobTimeoutError):
                await (await task.dispatch(Order("a"))).result(timeout="10ms")
            await aeventually(lambda: hub._reader is None and not hub._readers)
            assert (hub._positions, hub._waiters, spy.feeds) == ({}, {}, round_ + 1)


async def test_waits_come_and_go_all_the_time(
    producer: AsyncProducer, task: AsyncBoundTask[Order, Receipt], worker: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    recheck_every(monkeypatch, 1)  # the reader ends as often as it can
    other = producer.register(anything)
    for number in range(40):
        handle: Any = await (task.dispatch(Order("a")) if number % 2 else other.dispatch(1))
        wait = asyncio.ensure_future(handle.result(timeout=30))
        if number % 3:
            await begun(producer, wait)
        worker.complete(task="orders" if number % 2 else "anything")
        await wait


async def test_closing_ends_the_waits_that_are_under_way(
    producer: AsyncProducer, task: AsyncBoundTask[Order, Receipt]
) -> None:
    handle = await task.dispatch(Order("a"))
    waits = [asyncio.ensure_future(handle.result()) for _ in range(3)]
    await begun(producer, *waits)
    await producer.close()
    for result in await asyncio.gather(*waits, return_exceptions=True):
        assert isinstance(result, UsageError)
        assert "this producer is closed" in str(result)


async def test_closing_ends_waits_that_are_just_beginning(spy: Any) -> None:
    async with AsyncProducer(spy) as producer:
        handle = await producer.register(orders).dispatch(Order("a"))
        waits = [asyncio.ensure_future(handle.result()) for _ in range(3)]
        await asyncio.sleep(0)
        assert producer._session._outlet.hub._openings
        await producer.close()
        for result in await asyncio.gather(*waits, return_exceptions=True):
            assert isinstance(result, UsageError)


async def test_a_wait_that_gives_up_while_it_begins_takes_nobody_along(spy: Any) -> None:
    async with AsyncProducer(spy) as producer:
        handle = await producer.register(orders).dispatch(Order("a"))
        waits = [asyncio.ensure_future(handle.result()) for _ in range(3)]
        await asyncio.sleep(0)
        waits[0].cancel()
        await begun(producer, *waits[1:])
        Player(spy.inner.blocking()).complete()
        assert await asyncio.gather(*waits[1:]) == [Receipt(7)] * 2


async def test_a_timeout_around_a_wait_works_as_well(
    producer: AsyncProducer, task: AsyncBoundTask[Order, Receipt], worker: Player
) -> None:
    handle = await task.dispatch(Order("a"))
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.01):
            await handle.result()
    assert not isinstance(caught.value, JobTimeoutError)
    worker.complete()
    assert await handle.result() == Receipt(7)


async def test_a_job_that_ends_together_with_the_patience_counts_as_ended(spy: Any) -> None:
    async with AsyncProducer(spy) as producer:
        hub = producer._session._outlet.hub
        handle = await producer.register(orders).dispatch(Order("a"))
        player = Player(spy.inner.blocking())
        check = hub._check

        async def end_then_check(task: str, job_id: str) -> Any:
            player.complete()
            return await check(task, job_id)

        async def wait(task: str, job_id: str) -> Any:
            hub._check = end_then_check  # type: ignore[method-assign]
            await asyncio.Event().wait()

        hub._wait = wait  # type: ignore[method-assign]
        assert await handle.result(timeout="10ms") == Receipt(7)


def test_a_producer_may_be_made_outside_of_an_event_loop(redis_storage: Storage, redis_player: Player) -> None:
    producer = AsyncProducer(redis_storage.url)
    task = producer.register(orders)

    async def main() -> Receipt:
        async with producer:
            handle = await task.dispatch(Order("a"))
            redis_player.complete()
            return await handle.result(timeout=30)

    assert asyncio.run(main()) == Receipt(7)
