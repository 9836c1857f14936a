"""Following the events of a task."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from packages.producer.tests.playing import Order, Player, Receipt, Storage, Surface, orders, wait_until_blocked
from packages.producer.tests.playing import surface as open_surface
from taskora.contracts import BackendError, Collect, Debounce, UsageError, define_task
from taskora.producer import AsyncProducer, CollectEvent, DebouncedEvent, EventReader, PayloadCodec, Producer
from taskora.wire import ReadStatuses
from taskora.wire.backends import MemoryBackend, open_backend


def test_a_life_in_events(surface: Surface, producer: Any, task: Any, player: Player) -> None:
    events = producer.events(orders)
    surface.do(events.open())
    handle = surface.do(task.dispatch(Order("a")))
    player.retry(b"first")
    (claim,) = player.claim()
    player.report(claim, ("progress", b"50"))
    from taskora.wire import OutcomeKind

    player.settle(claim, OutcomeKind.COMPLETED, b'{"total":3}')
    seen = surface.take(events, 8)
    assert [event.kind for event in seen] == [
        "waiting", "active", "failed", "retrying", "promoted", "active", "progress", "completed",
    ]  # fmt: skip
    assert {(event.task, event.job_id) for event in seen} == {("orders", handle.id)}
    assert all(event.timestamp_ms > 1_700_000_000_000 for event in seen)
    assert [event.attempt for event in seen if hasattr(event, "attempt")] == [1, 1, 2, 2, 2]
    assert (seen[2].error, seen[2].will_retry) == ("first", True)
    assert seen[6].value == 50
    assert seen[7].result == Receipt(3)
    assert seen[7].duration_ms >= 0


def test_events_of_dispatches_that_replace_and_gather(surface: Surface, producer: Any, task: Any) -> None:
    replaced = producer.events(orders)
    surface.do(replaced.open())
    debounce = Debounce(key="k", delay="1h")
    first, last = [surface.do(task.dispatch(Order(name), debounce=debounce)) for name in ("a", "b")]
    events = surface.take(replaced, 3)
    assert [event.kind for event in events] == ["delayed", "debounced", "delayed"]
    assert isinstance(events[1], DebouncedEvent)
    assert (events[1].job_id, events[1].replaced_by) == (first.id, last.id)

    batches = define_task("batches", input=str, collect=Collect(key="room", delay="1h", max_size=2))
    gathering = producer.events(batches)
    surface.do(gathering.open())
    waits, runs = surface.do(producer.register(batches).dispatch_many(["a", "b"]))
    collected, full = surface.take(gathering, 2)
    assert isinstance(collected, CollectEvent)
    assert (collected.job_id, collected.key, collected.count) == (waits.id, "room", 1)
    assert (full.kind, full.job_id) == ("waiting", runs.id)


def test_events_from_before_are_not_delivered(surface: Surface, producer: Any, task: Any) -> None:
    surface.do(task.dispatch(Order("a")))
    events = task.events()
    surface.do(events.open())
    later = surface.do(task.dispatch(Order("b")))
    (event,) = surface.take(events, 1)
    assert event.job_id == later.id


def test_a_second_loop_goes_on_where_the_first_one_read_to(surface: Surface, producer: Any, task: Any) -> None:
    events = task.events()
    surface.do(events.open())
    surface.do(events.open())
    for name in ("a", "b"):
        handle = surface.do(task.dispatch(Order(name)))
        assert [event.job_id for event in surface.take(events, 1)] == [handle.id]


def test_other_tasks_are_not_heard(surface: Surface, producer: Any, task: Any) -> None:
    from packages.producer.tests.playing import anything

    events = task.events()
    surface.do(events.open())
    surface.do(producer.register(anything).dispatch(1))
    handle = surface.do(task.dispatch(Order("a")))
    assert [event.job_id for event in surface.take(events, 1)] == [handle.id]


def test_more_events_than_one_read_gives_come_in_order(surface: Surface, producer: Any, task: Any) -> None:
    events = task.events()
    surface.do(events.open())
    handles = surface.do(task.dispatch_many([Order("a")] * 250))
    assert [event.job_id for event in surface.take(events, 250)] == [handle.id for handle in handles]


def test_unknown_entries_and_names_are_passed_over(surface: Surface, redis_storage: Storage) -> None:
    with surface.producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        events = producer.events(orders)
        surface.do(events.open())
        raw.xadd("taskora:{orders}:events", {"event": "from-the-future", "jobId": "x", "more": "y"})
        raw.xadd("taskora:{orders}:events", {"some": "thing"})
        raw.xadd("taskora:{orders}:events", {b"event": b"\xff", "jobId": "x"})
        raw.xadd("taskora:{orders}:events", {"event": "active", "jobId": "gone"})
        (event,) = surface.take(events, 1)
        assert (event.kind, event.job_id, event.attempt) == ("active", "gone", 0)


@pytest.mark.parametrize("name", ["sync", "async"])
def test_a_reader_outlasts_lost_connections(name: str, redis_storage: Storage) -> None:
    opened = threading.Event()

    def follow() -> list[str]:
        with open_surface(name) as surface, surface.producer(redis_storage.url) as producer:
            events = producer.events(orders)
            surface.do(events.open())
            opened.set()
            return [event.job_id for event in surface.take(events, 4)]

    with ThreadPoolExecutor(1) as pool, Producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        following = pool.submit(follow)
        opened.wait(30)
        task = producer.register(orders)
        ids: list[str] = []
        for _ in range(2):
            for client in wait_until_blocked(raw):
                raw.client_kill_filter(_id=client["id"])
            ids += [handle.id for handle in task.dispatch_many([Order("a"), Order("b")])]
        assert following.result(30) == ids


def test_opening_without_a_server_says_so(surface: Surface) -> None:
    with surface.producer("redis://127.0.0.1:1") as producer:
        events = producer.events(orders)
        with pytest.raises(BackendError, match="cannot be reached"):
            surface.do(events.open())
        with pytest.raises(BackendError, match="cannot be reached"):
            surface.take(events, 1)


class Spy:
    """A backend that fails to read statuses a given number of times."""

    def __init__(self) -> None:
        self.inner = MemoryBackend()
        self.failures = 0
        self.tries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def run(self, operation: Any) -> Any:
        if isinstance(operation, ReadStatuses):
            self.tries += 1
            if self.failures:
                self.failures -= 1
                raise BackendError("away")
        return await self.inner.run(operation)


async def test_a_failed_enrichment_leaves_the_position_and_repeats_the_batch() -> None:
    spy: Any = Spy()
    codec = PayloadCodec[Receipt]("orders", "output", Receipt, None)
    reader = EventReader(spy, {"orders": codec})
    await reader.open()
    player = Player(spy.inner.blocking())
    async with AsyncProducer(spy) as producer:
        await producer.register(orders).dispatch(Order("a"))
        player.complete()
        before = dict(reader._cursor._positions)
        spy.failures = 2
        iterator = aiter(reader)
        seen = [await anext(iterator) for _ in range(3)]
        assert [event.kind for event in seen] == ["waiting", "active", "completed"]
        assert spy.tries == 3
        assert reader._cursor._positions != before
        await iterator.aclose()  # type: ignore[attr-defined]


async def test_a_reader_works_on_a_backend_alone(redis_storage: Storage, redis_player: Player) -> None:
    backend = open_backend(redis_storage.url)
    reader = EventReader(backend, {"orders": PayloadCodec[Receipt]("orders", "output", Receipt, None)})
    await reader.open()
    async with AsyncProducer(backend) as producer:
        await producer.register(orders).dispatch(Order("a"))
    redis_player.complete()
    kinds: list[str] = []
    async for event in reader:
        kinds.append(event.kind)
        if event.kind == "completed":
            break
    assert kinds == ["waiting", "active", "completed"]
    await backend.close()


@pytest.mark.parametrize("memory", [True, False])
async def test_closing_the_producer_ends_the_loop(memory: bool, redis_storage: Storage) -> None:
    for borrowed in (False, True):
        backend = MemoryBackend() if memory else open_backend(redis_storage.url)
        target: Any = backend if borrowed else ("memory://closing" if memory else redis_storage.url)
        producer = AsyncProducer(target)
        events = producer.events(orders)
        await events.open()

        async def follow(events: Any = events) -> list[Any]:
            return [event async for event in events]

        following = asyncio.ensure_future(follow())
        if not memory:
            with redis_storage.raw() as raw:
                await asyncio.to_thread(wait_until_blocked, raw)
        else:
            await asyncio.sleep(0)
        await producer.close()
        assert await following == []
        with pytest.raises(UsageError, match="this producer is closed"):
            await events.open()
        await backend.close()


async def test_leaving_a_loop_gives_its_connection_back(redis_storage: Storage) -> None:
    async with AsyncProducer(redis_storage.url) as producer:
        task = producer.register(orders)
        for _ in range(20):
            events = task.events()
            await events.open()
            await task.dispatch(Order("a"))
            async for event in events:
                assert event.kind == "waiting"
                break
        await asyncio.sleep(0)  # the interpreter closes what a loop has left
        with redis_storage.raw() as raw:
            clients: Any = raw.client_list()
            assert len(clients) <= 5
