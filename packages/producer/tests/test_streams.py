"""Streams of dispatches: bounded whatever their length, in order, and clear about what was dispatched."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from packages.producer.tests.playing import MANY, Order, Storage, Surface, orders
from packages.producer.tests.test_batches import script_calls
from taskora.contracts import BackendError, Deduplicate, DuplicateJobError, ValidationError
from taskora.producer import AsyncProducer
from taskora.producer._async_streaming import BATCHES_UNDER_WAY
from taskora.producer._dispatching import BATCH_SIZE
from taskora.wire import Enqueue, Operation
from taskora.wire.backends import MemoryBackend


class Source:
    """Gives orders, and counts how many were asked for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.given = 0

    def __iter__(self) -> Iterator[Order]:
        for number in range(self.count):
            self.given += 1
            yield Order(str(number))


async def slowly(source: Source) -> AsyncIterator[Order]:
    for order in source:
        await asyncio.sleep(0)
        yield order


def drain(surface: Surface, batches: Any, taken: list[list[Any]]) -> None:
    """Takes all batches of a stream, one after the other."""
    if surface.name == "sync":
        taken.extend(batches)
    else:
        surface.do(adrain(batches, taken))


async def adrain(batches: Any, taken: list[list[Any]]) -> None:
    """The same of a stream of an event loop."""
    async for batch in batches:
        taken += [batch]


def drained(surface: Surface, batches: Any) -> list[list[Any]]:
    """All batches of a stream."""
    taken: list[list[Any]] = []
    drain(surface, batches, taken)
    return taken


def test_a_stream_goes_in_batches_and_in_order(surface: Surface, redis_storage: Storage) -> None:
    with surface.producer(redis_storage.url) as producer:
        task = producer.register(orders)
        surface.do(task.dispatch(Order("first")))
        before = script_calls(redis_storage)
        batches = drained(surface, task.dispatch_stream(Source(3500)))
        assert sum(map(len, batches)) == 3500
        assert max(map(len, batches)) == BATCH_SIZE
        assert script_calls(redis_storage) - before == 4
        listed = surface.do(producer.inspector.waiting(orders, limit=3500, offset=1))
        assert [info.id for info in listed] == [handle.id for batch in batches for handle in batch]
        assert [info.data["item"] for info in listed] == [str(number) for number in range(3500)]


def test_nothing_streams_nothing(surface: Surface, task: Any) -> None:
    assert drained(surface, task.dispatch_stream([])) == []


def test_what_is_refused_is_raised_when_all_before_it_is_dispatched(surface: Surface, producer: Any, task: Any) -> None:
    def items() -> Iterator[Order]:
        yield from Source(1500)
        yield Order("bad", MANY)
        raise AssertionError("nobody asks for more")

    taken: list[list[Any]] = []
    with pytest.raises(ValidationError) as refused:
        drain(surface, task.dispatch_stream(items()), taken)
    assert refused.value.__notes__ == ["item 1500 of the stream; the 1500 before it were dispatched"]
    assert sum(map(len, taken)) == 1500
    assert surface.do(producer.inspector.stats("orders"))["orders"].waiting == 1500


def test_no_item_is_asked_for_before_there_is_room() -> None:
    """Whatever was asked for is in batches under way, in the one that gathers, or taken."""
    asyncio.run(_watch_room())


async def _watch_room() -> None:
    async with AsyncProducer("memory://") as producer:
        wraps: list[Callable[[Source], Any]] = [iter, slowly]
        for wrap in wraps:
            source = Source(20_000)
            taken = 0
            items: Any = wrap(source)
            async for batch in producer.register(orders).dispatch_stream(items):
                taken += len(batch)
                for _ in range(20):
                    await asyncio.sleep(0)  # it may go on as far as it can
                assert source.given - taken <= (BATCHES_UNDER_WAY + 1) * BATCH_SIZE
            assert taken == 20_000


def test_a_synchronous_stream_asks_for_one_batch_at_a_time(surface: Surface, storage: Storage) -> None:
    if surface.name == "async":
        return
    with surface.producer(storage.url) as producer:
        source, taken = Source(5000), 0
        for batch in producer.register(orders).dispatch_stream(source):
            taken += len(batch)
            assert source.given == taken


async def test_items_that_trickle_do_not_wait_for_a_full_batch() -> None:
    more: asyncio.Queue[Order | None] = asyncio.Queue()

    async def trickle() -> AsyncIterator[Order]:
        while (order := await more.get()) is not None:
            yield order

    async with AsyncProducer("memory://") as producer:
        stream = producer.register(orders).dispatch_stream(trickle())
        for number in range(3):
            more.put_nowait(Order(str(number)))
            assert len(await anext(stream)) == 1
        more.put_nowait(None)
        assert [batch async for batch in stream] == []


class Failing(MemoryBackend):
    """Loses the connection at one batch."""

    def __init__(self, failing: int) -> None:
        super().__init__()
        self.left = failing

    async def run(self, operation: Operation[Any]) -> Any:
        if isinstance(operation, Enqueue):
            self.left -= 1
            if self.left < 0:
                raise BackendError("gone")
        return await super().run(operation)


async def test_a_failed_batch_says_what_is_known() -> None:
    async with AsyncProducer(Failing(2)) as producer:
        taken: list[list[Any]] = []
        with pytest.raises(BackendError, match="gone") as failed:
            await adrain(producer.register(orders).dispatch_stream(Source(20_000)), taken)
        assert sum(map(len, taken)) == 2000
        assert (
            "items 2000 to 2999 of the stream may have been dispatched, and some after them; the 2000 before them were"
            in failed.value.__notes__
        )


async def test_a_batch_that_fails_halfway_says_what_is_known() -> None:
    async with AsyncProducer(Failing(1)) as producer:
        with pytest.raises(BackendError) as failed:
            await producer.register(orders).dispatch_many(list(Source(2500)))
        assert failed.value.__notes__ == [
            "of 2500 jobs, the first 1000 were dispatched, and the next 1000 may have been"
        ]


async def test_who_stops_early_leaves_nothing_running() -> None:
    async with AsyncProducer("memory://") as producer:
        source = Source(20_000)
        stream = producer.register(orders).dispatch_stream(slowly(source))
        await anext(stream)
        await stream.aclose()
        given = source.given
        await asyncio.sleep(0)
        assert source.given == given
        assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_refused_item_of_a_batch_is_named(surface: Surface, task: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        surface.do(task.dispatch_many([Order("a"), Order("b", MANY)]))
    assert refused.value.__notes__ == ["item 1 of the batch; nothing was dispatched"]


def test_a_rejection_in_a_stream_is_a_handle_that_says_so(surface: Surface, producer: Any, task: Any) -> None:
    once = Deduplicate(key="one")
    items = [task.item(Order(str(number)), deduplicate=once) for number in range(3)]
    handles = [handle for batch in drained(surface, task.dispatch_stream(items)) for handle in batch]
    assert [handle.enqueued for handle in handles] == [True, False, False]
    assert {handle.existing_id for handle in handles[1:]} == {handles[0].id}


def test_a_rejection_that_is_to_be_raised_ends_a_stream_after_its_batch(
    surface: Surface, producer: Any, task: Any
) -> None:
    once = Deduplicate(key="one")
    items = [task.item(Order(str(number)), deduplicate=once, raise_on_reject=True) for number in range(3)]
    taken: list[list[Any]] = []
    with pytest.raises(DuplicateJobError) as raised:
        drain(surface, task.dispatch_stream([*items, Order("last")]), taken)
    assert any("of the stream may have been dispatched" in note for note in raised.value.__notes__)
    assert sum(map(len, taken)) <= 1  # what was sent before the batch of the rejected one
    assert surface.do(producer.inspector.stats("orders"))["orders"].waiting >= 1
