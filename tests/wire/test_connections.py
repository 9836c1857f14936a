"""Connections that are shared, borrowed, interrupted and given back."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio

from taskora.contracts import BackendError
from taskora.wire import Backend, LastEvent, SyncBackend
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends import open_backend, open_sync_backend
from taskora.wire.backends._async_connections import AsyncConnections
from taskora.wire.backends._requests import Request
from tests.polling import aeventually, eventually
from tests.servers import Server
from tests.wire.connecting import COUNT, LONG_MS, SOON_S, CountedConnections, Others, enqueue


def test_scripts_that_the_server_forgot_are_sent_again(sync: SyncBackend, redis_raw: redis.Redis) -> None:
    client: Any = redis_raw
    for number in range(2):
        assert sync.run(enqueue(f"j{number}")) == (True,)
        client.script_flush()
    assert sync.run(COUNT).waiting == 2


async def test_scripts_that_the_server_forgot_are_sent_again_from_asyncio(
    backend: Backend, redis_raw: redis.Redis
) -> None:
    client: Any = redis_raw
    for number in range(2):
        assert await backend.run(enqueue(f"j{number}")) == (True,)
        client.script_flush()
    assert (await backend.run(COUNT)).waiting == 2


async def test_a_caller_that_is_cancelled_leaves_no_reply_behind(
    backend: Backend, others: Others, pause_writes: Callable[[bool], None]
) -> None:
    await backend.run(enqueue("j1"))
    pause_writes(True)
    for _ in range(3):
        call = asyncio.create_task(backend.run(LastEvent(task="t")))
        await aeventually(lambda: others.busy_with("evalsha"))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    pause_writes(False)
    assert (await backend.run(COUNT)).waiting == 1
    assert await backend.run(enqueue("j2")) == (True,)


async def test_a_reader_that_is_cancelled_leaves_no_reply_behind(backend: Backend, others: Others) -> None:
    feed = backend.open_feed()
    for _ in range(3):
        reading = asyncio.create_task(feed.read({"t": "0"}, block_ms=LONG_MS))
        await aeventually(lambda: others.busy_with("xread"))
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    await backend.run(enqueue("j1"))
    assert [event.job_id for event in await feed.read({"t": "0"}, block_ms=LONG_MS)] == ["j1"]
    await feed.close()


@pytest.mark.parametrize("steps", range(8))
async def test_a_reader_may_be_cancelled_at_any_point(backend: Backend, steps: int) -> None:
    await backend.run(enqueue("j1"))
    feed = backend.open_feed()
    reading = asyncio.create_task(feed.read({"t": "$"}, block_ms=LONG_MS))
    for _ in range(steps):
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    assert [event.job_id for event in await feed.read({"t": "0"}, block_ms=LONG_MS)] == ["j1"]
    await feed.close()


@pytest.mark.parametrize("positions", [{"t": "0"}, {}])
async def test_a_waiting_reader_is_interrupted_at_once(
    backend: Backend, others: Others, positions: dict[str, str]
) -> None:
    await backend.run(COUNT)
    feed = backend.open_feed()
    for _ in range(3):
        reading = asyncio.create_task(feed.read(positions, block_ms=LONG_MS))
        if positions:
            await aeventually(lambda: others.busy_with("xread"))
        else:
            await asyncio.sleep(0)
        await feed.interrupt()
        assert await asyncio.wait_for(reading, SOON_S) == []
    await feed.close()


async def test_an_interruption_does_not_lose_events(backend: Backend, others: Others) -> None:
    feed = backend.open_feed()
    reading = asyncio.create_task(feed.read({"t": "0"}, block_ms=LONG_MS))
    await aeventually(lambda: others.busy_with("xread"))
    await backend.run(enqueue("j1"))
    await feed.interrupt()
    found = await asyncio.wait_for(reading, SOON_S) or await feed.read({"t": "0"}, block_ms=LONG_MS)
    assert [event.job_id for event in found] == ["j1"]
    await feed.close()


async def test_closing_gives_every_connection_back(url: str, others: Others) -> None:
    backend = open_backend(url)
    await asyncio.gather(*(backend.run(enqueue(f"j{number}")) for number in range(40)))
    feed = backend.open_feed()
    await feed.read({"t": "0"}, block_ms=1)
    await backend.wait_for_work("t", timeout_ms=1, now_ms=0)
    async with backend.cancellations(["t"]):
        assert len(others.all()) > 2
    await backend.close()
    await aeventually(lambda: others.all() == [])


async def test_closing_ends_what_still_waits(url: str, others: Others) -> None:
    backend = open_backend(url)
    waiting = asyncio.create_task(backend.wait_for_work("t", timeout_ms=LONG_MS, now_ms=0))
    await aeventually(lambda: others.busy_with("bzpopmin"))
    await backend.close()
    with pytest.raises(BackendError):
        await asyncio.wait_for(waiting, SOON_S)
    await aeventually(lambda: others.all() == [])


def test_closing_gives_every_connection_of_every_thread_back(server: Server, others: Others) -> None:
    backend = open_sync_backend(server.url)
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(backend.run, [enqueue(f"j{number}") for number in range(200)]))
    assert replies == [(True,)] * 200
    assert backend.run(COUNT).waiting == 200
    backend.close()
    eventually(lambda: others.all() == [])


async def test_concurrent_calls_get_their_own_replies(backend: Backend) -> None:
    replies = await asyncio.gather(*(backend.run(enqueue(f"j{number % 100}")) for number in range(200)))
    assert replies.count((True,)) == 100


async def test_calls_of_many_callers_share_a_bounded_number_of_connections(
    backend: Backend, others: Others, transport: str
) -> None:
    await asyncio.gather(*(backend.run(COUNT) for _ in range(300)))
    assert len(others.all()) <= {"fast": 1, "redis-py": 16}[transport]


async def test_a_command_waits_for_a_connection_no_longer_than_for_a_reply(server: Server) -> None:
    pool = AsyncConnections(CountedConnections(server.port))
    blocked = [asyncio.create_task(pool.request(Request(("BLPOP", "nothing", 0)))) for _ in range(16)]
    await asyncio.sleep(0)  # they take all there are
    with pytest.raises(redis_errors.TimeoutError, match=r"no connection was free within 0\.05s"):
        await pool.request(Request(("PING",), timeout=0.05))
    blocked.pop().cancel()
    assert await pool.request(Request(("PING",))) == b"PONG"
    await pool.close()
    await asyncio.gather(*blocked, return_exceptions=True)


SYNC_CLIENTS: list[Callable[[Server], Any]] = [
    lambda server: redis.Redis.from_url(server.url),
    lambda server: redis.Redis.from_url(server.url, decode_responses=True, protocol=3),
    lambda server: redis.Redis.from_url(server.url, health_check_interval=1, single_connection_client=True),
    lambda server: redis.Redis.from_url(server.unix_url),
]


ASYNC_CLIENTS: list[Callable[[Server], Any]] = [
    lambda server: redis.asyncio.Redis.from_url(server.url),
    lambda server: redis.asyncio.Redis.from_url(server.url, decode_responses=True, protocol=3),
    lambda server: redis.asyncio.Redis.from_url(server.unix_url),
]


@pytest.mark.parametrize("make", SYNC_CLIENTS)
async def test_a_borrowed_client_stays_open_and_as_it_was(server: Server, make: Callable[[Server], Any]) -> None:
    with make(server) as client:
        client.set("mine", "1")
        before = client.get("mine")
        await _use_both(client)
        assert client.get("mine") == before


@pytest.mark.parametrize("make", ASYNC_CLIENTS)
async def test_a_borrowed_asyncio_client_stays_open_and_as_it_was(
    server: Server, make: Callable[[Server], Any]
) -> None:
    async with make(server) as client:
        await client.set("mine", "1")
        before = await client.get("mine")
        await _use_both(client)
        assert await client.get("mine") == before


async def _use_both(client: Any) -> None:
    backend = open_backend(client)
    assert await backend.run(enqueue("j1")) == (True,)
    await backend.close()
    with contextlib.closing(open_sync_backend(client)) as sync:
        assert sync.run(COUNT).waiting == 1


async def test_the_same_server_for_threads_has_connections_of_its_own(backend: Backend) -> None:
    await backend.run(enqueue("j1"))
    with contextlib.closing(backend.blocking()) as sync:
        assert (await asyncio.to_thread(sync.run, COUNT)).waiting == 1
    assert (await backend.run(COUNT)).waiting == 1


FORK = """
import os, sys
from taskora.wire import CountJobs
from taskora.wire.backends import open_sync_backend
backend = open_sync_backend(sys.argv[1])
def count(): return backend.run(CountJobs(task="t")).waiting
assert count() == 0
child = os.fork()
for _ in range(200):
    assert count() == 0
if child == 0:
    os._exit(0)
print(os.waitpid(child, 0)[1], count())
"""


def test_a_forked_child_makes_connections_of_its_own(server: Server) -> None:
    command = [sys.executable, "-W", "error", "-c", FORK, server.url]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("0 0\n", "")
