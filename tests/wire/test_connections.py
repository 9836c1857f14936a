"""Connections that break, are shared, borrowed, interrupted and given back."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import redis
import redis.asyncio

from taskora.contracts import BackendError
from taskora.wire import Backend, CountJobs, Enqueue, Keyspace, LastEvent, NewJob, SyncBackend
from taskora.wire.backends import _connection_factory, open_backend, open_sync_backend
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._async_connections import AsyncConnections
from taskora.wire.backends._connection import AsyncConnection
from taskora.wire.backends._connection_factory import async_factory
from taskora.wire.backends._redis import RedisBackend
from taskora.wire.backends._requests import Request
from tests.polling import aeventually, eventually
from tests.servers import Server

COUNT = CountJobs(task="t")
LONG_MS = 30_000
SOON_S = 10.0


def enqueue(job_id: str) -> Enqueue:
    return Enqueue(task="t", version=1, max_attempts=1, jobs=[NewJob(job_id=job_id, data=b"1")])


class Others:
    """The connections of everybody but ourselves, seen from the server."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client
        self._own = str(self._client.client_id())

    def all(self) -> list[dict[str, str]]:
        return [row for row in self._client.client_list() if row["id"] != self._own]

    def busy_with(self, command: str) -> list[str]:
        """Ids of connections that wait for the reply to `command`."""
        return [row["id"] for row in self.all() if row["cmd"] == command and "b" in row["flags"]]

    def kill(self) -> None:
        for row in self.all():
            with contextlib.suppress(redis.ResponseError):
                self._client.execute_command("CLIENT", "KILL", "ID", row["id"])


@pytest.fixture
def others(redis_raw: redis.Redis) -> Others:
    found = Others(redis_raw)
    eventually(lambda: found.all() == [])
    return found


@pytest.fixture
def sync(server: Server) -> Iterator[SyncBackend]:
    with contextlib.closing(open_sync_backend(server.url)) as backend:
        yield backend


@pytest.fixture(params=["fast", "redis-py"])
def transport(request: pytest.FixtureRequest) -> str:
    """Run the test over both ways to a server."""
    transport: str = request.param
    return transport


@pytest.fixture
def url(server: Server, transport: str) -> str:
    return f"{server.url}?transport={transport}"


@pytest.fixture
async def backend(url: str) -> AsyncIterator[Backend]:
    opened = open_backend(url)
    yield opened
    await opened.close()


@pytest.fixture
def pause_writes(redis_raw: redis.Redis) -> Iterator[Callable[[bool], None]]:
    """Lets every script wait at the server until it is told to go on."""
    client: Any = redis_raw

    def switch(on: bool) -> None:
        if on:
            client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        else:
            client.execute_command("CLIENT", "UNPAUSE")

    yield switch
    switch(False)


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


@pytest.fixture
def mute_address() -> Iterator[str]:
    """Where connections are accepted and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        yield f"127.0.0.1:{mute.getsockname()[1]}"


@pytest.mark.parametrize("password", ["", ":secret@"])
async def test_a_server_that_never_answers_cannot_be_reached(mute_address: str, password: str, transport: str) -> None:
    options = f"socket_connect_timeout=0.05&transport={transport}"
    backend = open_backend(f"redis://{password}{mute_address}/0?{options}")
    with pytest.raises(BackendError, match=r"cannot be reached.*not connected within 0\.05s"):
        await asyncio.wait_for(backend.run(COUNT), SOON_S)
    await backend.close()


@pytest.mark.parametrize("password", ["", ":secret@"])
def test_a_server_that_never_answers_cannot_be_reached_by_threads(
    mute_address: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection_factory, "REPLY_TIMEOUT", 0.05)
    backend = open_sync_backend(f"redis://{password}{mute_address}/0")
    with pytest.raises(BackendError, match="cannot be reached"):
        backend.run(COUNT)
    backend.close()


@dataclass
class CountedConnections:
    """Makes connections to a port of this machine; none is used twice unless it works."""

    port: int
    made: int = 0

    def __call__(self) -> AsyncConnection:
        self.made += 1
        return async_factory({"host": "127.0.0.1", "port": self.port})()

    def backend(self) -> RedisBackend:
        return RedisBackend(
            AsyncConnections(self), lambda: pytest.fail("nobody asked for threads"), keyspace=Keyspace()
        )


@pytest.fixture
def refused_port() -> Iterator[int]:
    """Where nobody listens, and nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def test_all_first_calls_share_one_attempt_and_its_error(refused_port: int) -> None:
    connections = CountedConnections(refused_port)
    backend = connections.backend()
    for attempt in (1, 2):
        replies = await asyncio.gather(*(backend.run(COUNT) for _ in range(8)), return_exceptions=True)
        assert all("cannot be reached" in str(reply) for reply in replies)
        assert connections.made == 4 * attempt
    await backend.close()


async def test_a_first_call_that_is_cancelled_leaves_the_attempt_to_the_others(backend: Backend) -> None:
    first = asyncio.create_task(backend.run(COUNT))
    second = asyncio.create_task(backend.run(enqueue("j1")))
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.wait_for(second, SOON_S) == (True,)
    assert first.cancelled()


async def test_an_attempt_that_fails_after_its_only_caller_left_troubles_nobody(refused_port: int) -> None:
    connections = CountedConnections(refused_port)
    backend = connections.backend()
    left = asyncio.create_task(backend.run(COUNT))
    await aeventually(lambda: connections.made > 0)
    left.cancel()
    with pytest.raises(BackendError, match="cannot be reached"):
        await backend.run(COUNT)
    assert (left.cancelled(), connections.made) == (True, 4)
    await backend.close()


async def test_closing_ends_first_calls(mute_address: str) -> None:
    connections = CountedConnections(int(mute_address.partition(":")[2]))
    backend = connections.backend()
    calls = [asyncio.create_task(backend.run(COUNT)) for _ in range(2)]
    await aeventually(lambda: connections.made > 0)
    await backend.close()
    for call in calls:
        with pytest.raises(BackendError, match="this backend is closed"):
            await asyncio.wait_for(call, SOON_S)
    with pytest.raises(BackendError, match="this backend is closed"):
        await backend.run(COUNT)


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
