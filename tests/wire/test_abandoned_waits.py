"""A wake-up token that is handed to somebody who has just stopped waiting goes back."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import redis

from taskora.contracts import BackendError
from taskora.wire import Enqueue, Keyspace, NewJob
from taskora.wire.backends import _async_connections, _conversation, _wake_ups, open_backend
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._async_cluster import AsyncCluster
from taskora.wire.backends._cluster_map import SlotMap
from taskora.wire.backends._connection_factory import async_factory
from taskora.wire.backends._requests import Request
from taskora.wire.backends._transport import open_lines
from taskora.wire.backends._wake_ups import WakeUps
from tests.polling import aeventually
from tests.servers import Server
from tests.wire.scripted_server import Line, ScriptedServer, echo

SOON_S = 10.0
LONG_MS = 30_000
KEY = "taskora:{t}:marker"
TOKEN = b"*3\r\n$18\r\ntaskora:{t}:marker\r\n$1\r\n0\r\n$3\r\n123\r\n"
NOTHING = b"*-1\r\n"


class Dealer:
    """A server that answers a blocking command only when it is asked to let go of it, with what `deals` says.

    Without anything to deal it answers nothing, and reads on.
    """

    def __init__(self, deals: bytes) -> None:
        self.deals = deals
        self.patience = 1  # how often it has to be asked for each
        self.put_back: list[list[bytes]] = []
        self.blocks = 0
        self.server = ScriptedServer(self._serve)

    async def _serve(self, line: Line) -> None:
        while True:
            command = await line.next()
            if command[0] == b"BZPOPMIN":
                self.blocks += 1
                await self._let_go(line)
            elif command[0] == b"CLUSTER":
                line.send(b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:%d\r\n" % self.port)
            else:
                self.put_back.append(command)
                line.send(b":1\r\n")

    async def _let_go(self, line: Line) -> None:
        if self.deals:
            enough = self.unblocked + self.patience
            await aeventually(lambda: line.reader.at_eof() or self.unblocked >= enough)
            line.send(self.deals)

    @property
    def port(self) -> int:
        port: int = self.server.lines[0].writer.get_extra_info("sockname")[1]
        return port

    @property
    def unblocked(self) -> int:
        """How often somebody was to be let go."""
        return sum(said[:2] == [b"CLIENT", b"UNBLOCK"] for line in self.server.lines for said in line.greetings)


class Asked:
    """One way to wait at a dealer, alone, on a cluster or beside others."""

    def __init__(self, port: int, way: str) -> None:
        make = async_factory({"port": port})
        self._ends: list[Any] = []
        if way == "cluster":
            cluster = AsyncCluster(SlotMap([_address(port)]), lambda _: make, fast=True)
            self.waits, self._ends = WakeUps(cluster, cluster, None), [cluster]
        else:
            lines, commands = open_lines(make, fast=True)
            self.waits, self._ends = WakeUps(lines, commands, lines.lend), [lines, commands]

    def wait(self) -> "asyncio.Task[float | None]":
        return asyncio.create_task(self.waits.wait(KEY, LONG_MS))

    async def close(self) -> None:
        for end in (self.waits, *self._ends):
            await end.close()


def _address(port: int) -> Any:
    from taskora.wire.backends._address import Address

    return Address("127.0.0.1", port)


@contextlib.asynccontextmanager
async def asked_of(dealer: Dealer, way: str) -> AsyncGenerator[Asked]:
    async with dealer.server.listening() as port:
        asked = Asked(port, way)
        try:
            yield asked
        finally:
            await asked.close()


async def left(waiting: "asyncio.Task[Any]") -> None:
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("way", ["alone", "cluster"])
async def test_a_token_that_is_on_its_way_to_who_has_left_is_put_back_over_the_same_line(way: str) -> None:
    dealer = Dealer(TOKEN)
    async with asked_of(dealer, way) as asked:
        for turn in range(3):
            await _leave(asked, dealer, turn)
        assert dealer.put_back[-1] == [b"ZADD", KEY.encode(), b"LT", b"123", b"0"]
        assert sum(b"ID" in said for line in dealer.server.lines for said in line.greetings) == 1
    assert dealer.blocks == 3


async def _leave(asked: Asked, dealer: Dealer, turn: int) -> None:
    waiting = asked.wait()
    await aeventually(lambda: dealer.blocks == turn + 1)
    await left(waiting)
    await aeventually(lambda: len(dealer.put_back) == turn + 1)
    await aeventually(lambda: _quiet(asked) == 1)


def _quiet(asked: Asked) -> int:
    connections: Any = asked.waits._connections
    if isinstance(connections, AsyncCluster):
        (node,) = connections._nodes.values()
        connections = node.connections
    return len(connections._quiet)


async def test_a_wait_that_is_let_go_without_a_token_puts_nothing_back() -> None:
    dealer = Dealer(NOTHING)
    async with asked_of(dealer, "alone") as asked:
        waiting = asked.wait()
        await aeventually(lambda: dealer.blocks == 1)
        await left(waiting)
        await aeventually(lambda: _quiet(asked) == 1)
        assert dealer.put_back == []


async def test_a_token_that_comes_in_the_moment_of_leaving_is_put_back() -> None:
    dealer = Dealer(b"")
    async with asked_of(dealer, "alone") as asked:
        waiting = asked.wait()
        await aeventually(lambda: dealer.blocks == 1)
        lines: Any = asked.waits._connections
        ((line, client_id),) = lines._all.items()
        await client_id
        line.data_received(TOKEN)
        await left(waiting)  # it has not run since
        await aeventually(lambda: len(dealer.put_back) == 1)


@pytest.mark.parametrize("way", ["alone", "cluster"])
async def test_closing_puts_tokens_back_before_it_ends_the_connections(way: str) -> None:
    dealer = Dealer(TOKEN)
    async with asked_of(dealer, way) as asked:
        waiting = asked.wait()
        await aeventually(lambda: dealer.blocks == 1)
        await left(waiting)
        await asked.close()
        assert len(dealer.put_back) == 1


async def test_closing_puts_the_token_of_a_shared_wait_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_wake_ups, "OWN_CONNECTIONS", 0)
    dealer = Dealer(TOKEN)
    async with asked_of(dealer, "alone") as asked:
        waiting = asked.wait()
        await aeventually(lambda: dealer.blocks == 1)
        await asked.close()
        with pytest.raises(BackendError, match="is closed"):
            await waiting
        assert len(dealer.put_back) == 1


async def test_closing_does_not_wait_long_for_a_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_async_connections, "LAST_SECONDS", 0.01)
    dealer = Dealer(TOKEN)
    dealer.patience = 1_000_000
    async with asked_of(dealer, "alone") as asked:
        waiting = asked.wait()
        await aeventually(lambda: dealer.blocks == 1)
        await left(waiting)
        await asyncio.wait_for(asked.close(), SOON_S)
        assert dealer.put_back == []


async def test_a_wait_on_a_line_that_breaks_leaves_nothing_behind() -> None:
    dealer = Dealer(TOKEN)
    dealer.patience = 1_000_000
    async with asked_of(dealer, "alone") as asked:
        waiting = asked.wait()
        await aeventually(lambda: dealer.blocks == 1)
        await left(waiting)
        dealer.server.lines[0].writer.transport.abort()
        lines: Any = asked.waits._connections
        await aeventually(lambda: not lines._undoing and not lines._all)


async def test_a_line_outlasts_a_request_that_no_server_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_conversation, "LARGEST_REQUEST", 100)
    server = ScriptedServer(echo)
    async with server.listening() as port:
        lines, commands = open_lines(async_factory({"port": port}), fast=True)
        for word in ("small", "x" * 100, "small"):
            with contextlib.suppress(redis_errors.DataError):
                assert await lines.blocking_request(Request(("ECHO", word))) == b"small"
        assert len(server.lines) == 1
        await lines.close()
        await commands.close()


@pytest.mark.parametrize("rule", ["-client|id", "-client|unblock"])
async def test_who_may_not_have_the_server_let_go_hangs_up(server: Server, redis_raw: redis.Redis, rule: str) -> None:
    client: Any = redis_raw
    client.execute_command("ACL", "SETUSER", "ann", "reset", "on", ">pw", "+@all", "~*", "&*", rule)
    backend = open_backend(f"redis://ann:pw@127.0.0.1:{server.port}/0")
    waiting = asyncio.create_task(backend.wait_for_work("t", timeout_ms=LONG_MS, now_ms=0))
    await aeventually(lambda: client.info("clients")["blocked_clients"] == 1)
    await left(waiting)
    await aeventually(lambda: client.info("clients")["blocked_clients"] == 0)
    await backend.close()
    client.execute_command("ACL", "DELUSER", "ann")


async def test_a_job_that_comes_after_a_wait_was_left_leaves_its_token_to_others(
    server: Server, redis_raw: redis.Redis
) -> None:
    backend = open_backend(server.url)
    marker = Keyspace().task("t").marker_key
    for turn in range(20):
        waiting = asyncio.create_task(backend.wait_for_work("t", timeout_ms=LONG_MS, now_ms=0))
        await aeventually(lambda: redis_raw.info("clients")["blocked_clients"] == 1)
        enqueue = Enqueue(task="t", version=1, max_attempts=1, jobs=[NewJob(job_id=str(turn), data=b"1")])
        enqueueing = asyncio.create_task(backend.run(enqueue))
        waiting.cancel()
        await enqueueing
        if (await asyncio.wait({waiting}))[0] and waiting.cancelled():
            await aeventually(lambda: redis_raw.zcard(marker) == 1)
        redis_raw.flushall()
    await backend.close()
