"""Connections that break, and what becomes of what was under way."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from taskora.contracts import BackendError
from taskora.wire import Backend, SyncBackend
from tests.polling import aeventually, eventually
from tests.wire.connecting import COUNT, LONG_MS, SOON_S, Others, enqueue


def test_a_connection_that_was_cut_between_calls_is_made_again(sync: SyncBackend, others: Others) -> None:
    for number in range(3):
        assert sync.run(enqueue(f"j{number}")) == (True,)
        others.kill()
    assert sync.run(COUNT).waiting == 3


async def test_an_asyncio_connection_that_was_cut_between_calls_is_made_again(backend: Backend, others: Others) -> None:
    for number in range(3):
        assert await backend.run(enqueue(f"j{number}")) == (True,)
        others.kill()
    assert (await backend.run(COUNT)).waiting == 3


def test_many_idle_connections_that_were_cut_cost_one_call_one_try(
    sync: SyncBackend, others: Others, pause_writes: Callable[[bool], None]
) -> None:
    sync.run(COUNT)
    pause_writes(True)
    with ThreadPoolExecutor(12) as threads:
        replies = [threads.submit(sync.run, enqueue(f"j{number}")) for number in range(12)]
        eventually(lambda: len(others.busy_with("evalsha")) == 12)
        pause_writes(False)
        assert [reply.result(SOON_S) for reply in replies] == [(True,)] * 12
    others.kill()
    assert sync.run(COUNT).waiting == 12
    eventually(lambda: len(others.all()) == 1)


@pytest.mark.parametrize("transport", ["redis-py"], indirect=True)
async def test_many_idle_asyncio_connections_that_were_cut_cost_one_call_one_try(
    backend: Backend, others: Others, pause_writes: Callable[[bool], None]
) -> None:
    await backend.run(COUNT)
    pause_writes(True)
    replies = asyncio.gather(*(backend.run(enqueue(f"j{number}")) for number in range(12)))
    await aeventually(lambda: len(others.busy_with("evalsha")) == 12)
    pause_writes(False)
    assert await asyncio.wait_for(replies, SOON_S) == [(True,)] * 12
    others.kill()
    assert (await backend.run(COUNT)).waiting == 12
    await aeventually(lambda: len(others.all()) == 1)


def test_a_call_that_is_cut_is_sent_again_and_done_once(
    sync: SyncBackend, others: Others, pause_writes: Callable[[bool], None]
) -> None:
    sync.run(COUNT)
    pause_writes(True)
    with ThreadPoolExecutor(1) as thread:
        reply = thread.submit(sync.run, enqueue("j1"))
        first = eventually(lambda: others.busy_with("evalsha"))
        others.kill()
        eventually(lambda: others.busy_with("evalsha") not in ([], first))
        pause_writes(False)
        assert reply.result(SOON_S) == (True,)
    assert sync.run(COUNT).waiting == 1


async def test_an_asyncio_call_that_is_cut_is_sent_again_and_done_once(
    backend: Backend, others: Others, pause_writes: Callable[[bool], None]
) -> None:
    await backend.run(COUNT)
    pause_writes(True)
    reply = asyncio.create_task(backend.run(enqueue("j1")))
    first = await aeventually(lambda: others.busy_with("evalsha"))
    others.kill()
    await aeventually(lambda: others.busy_with("evalsha") not in ([], first))
    pause_writes(False)
    assert await asyncio.wait_for(reply, SOON_S) == (True,)
    assert (await backend.run(COUNT)).waiting == 1


async def test_a_wait_for_work_that_is_cut_is_an_error_at_once(backend: Backend, others: Others) -> None:
    waiting = asyncio.create_task(backend.wait_for_work("t", timeout_ms=LONG_MS, now_ms=0))
    await aeventually(lambda: others.busy_with("bzpopmin"))
    others.kill()
    with pytest.raises(BackendError, match="cannot be reached"):
        await asyncio.wait_for(waiting, SOON_S)
    assert (await backend.run(COUNT)).waiting == 0


async def test_a_feed_that_is_cut_is_an_error_at_once_and_reads_on(backend: Backend, others: Others) -> None:
    feed = backend.open_feed()
    reading = asyncio.create_task(feed.read({"t": "0"}, block_ms=LONG_MS))
    await aeventually(lambda: others.busy_with("xread"))
    others.kill()
    with pytest.raises(BackendError, match="cannot be reached"):
        await asyncio.wait_for(reading, SOON_S)
    await backend.run(enqueue("j1"))
    (event,) = await feed.read({"t": "0"}, block_ms=LONG_MS)
    assert (event.name, event.job_id) == ("waiting", "j1")
    await feed.close()


def test_reading_events_that_is_cut_is_an_error_at_once(sync: SyncBackend, others: Others) -> None:
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(sync.read_events, {"t": "0"}, block_ms=LONG_MS)
        eventually(lambda: others.busy_with("xread"))
        others.kill()
        with pytest.raises(BackendError, match="cannot be reached"):
            reading.result(SOON_S)
    assert sync.read_events({"t": "0"}, block_ms=1) == []


async def test_a_subscription_that_is_cut_is_an_error_at_once(backend: Backend, others: Others) -> None:
    async def listen() -> None:
        async with backend.cancellations(["t"]) as cancellations:
            async for _ in cancellations:
                raise AssertionError("nobody cancelled anything")

    listening = asyncio.create_task(listen())
    await aeventually(lambda: [row for row in others.all() if row["sub"] == "1"])
    others.kill()
    with pytest.raises(BackendError, match="cannot be reached"):
        await asyncio.wait_for(listening, SOON_S)
