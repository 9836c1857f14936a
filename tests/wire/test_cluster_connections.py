"""Connections to the servers of a cluster that changes, against servers that say what a test tells them to say."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from taskora.wire import Keyspace, ScanTasks
from taskora.wire._flows import drive
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._address import Address
from taskora.wire.backends._async_cluster import AsyncCluster
from taskora.wire.backends._cluster_map import Learn, SlotMap, ToNode, cluster_request_of, routed, target_of
from taskora.wire.backends._connection_factory import async_factory, sync_factory
from taskora.wire.backends._requests import Request, Requests, carry_out
from taskora.wire.backends._sync_cluster import SyncCluster
from tests.polling import aeventually
from tests.wire.scripted_server import Line, ScriptedServer

SOON_S = 10.0


class Pair:
    """Two servers. Both say that all slots are on the one that `holder` names; HOLD is answered when `go_on` is set."""

    def __init__(self) -> None:
        self.servers = [ScriptedServer(self._serve) for _ in range(2)]
        self.addresses: list[Address] = []
        self.holder = 0
        self.asked = 0
        self.holds = asyncio.Event()
        self.go_on = asyncio.Event()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncGenerator["Pair"]:
        async with self.servers[0].listening() as one, self.servers[1].listening() as two:
            self.addresses = [Address("127.0.0.1", one), Address("127.0.0.1", two)]
            yield self

    async def _serve(self, line: Line) -> None:
        while True:
            command = await line.next()
            if command[0] == b"CLUSTER":
                self.asked += 1
                port = self.addresses[self.holder].port
                line.send(b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n" % port)
            else:
                if command[0] == b"HOLD":
                    self.holds.set()
                    await self.go_on.wait()
                line.send(b"+%b\r\n" % command[-1])

    def open_lines(self, number: int) -> int:
        """How many connections a server has."""
        return sum(not line.reader.at_eof() for line in self.servers[number].lines)


@contextlib.asynccontextmanager
async def cluster_of(pair: Pair, *, shares: bool = True) -> AsyncGenerator[AsyncCluster]:
    def make_for(address: Address) -> Callable[[], Any]:
        return async_factory({"host": address.host, "port": address.port})

    cluster = AsyncCluster(SlotMap(pair.addresses[:1]), make_for, fast=shares)
    try:
        yield cluster
    finally:
        await cluster.close()


def say(*words: str) -> Request:
    return Request(words, key="k")


async def test_many_who_meet_a_changed_cluster_ask_once_what_it_is_like() -> None:
    async with Pair().listening() as pair, cluster_of(pair) as cluster:
        replies = await asyncio.gather(*(cluster.request(say("ECHO", str(number))) for number in range(50)))
        assert replies == [b"%d" % number for number in range(50)]
        assert pair.asked == 1
        cluster.slots.is_stale = True
        await asyncio.gather(*(cluster.request(say("ECHO", "x")) for _ in range(50)))
        assert pair.asked == 2


async def test_who_learns_of_a_move_after_others_have_asked_does_not_ask_again() -> None:
    async with Pair().listening() as pair, cluster_of(pair) as cluster:
        await cluster.request(say("ECHO", "x"))
        known = cluster.slots.generation
        for _ in range(3):
            await cluster.perform(Learn(known))
        assert pair.asked == 2


@pytest.mark.parametrize("shares", [True, False], ids=["fast", "redis-py"])
async def test_a_server_that_has_left_keeps_what_is_under_way_and_then_no_connection(shares: bool) -> None:
    async with Pair().listening() as pair, cluster_of(pair, shares=shares) as cluster:
        pair.holder = 1
        await cluster.request(say("ECHO", "x"))
        held = asyncio.create_task(cluster.request(say("HOLD", "held")))
        await pair.holds.wait()
        cluster.slots.note(redis_errors.TimeoutError("no reply"), pair.addresses[1])
        pair.holder, cluster.slots.is_stale = 0, True
        assert await cluster.request(say("ECHO", "y")) == b"y"
        pair.go_on.set()
        assert await asyncio.wait_for(held, SOON_S) == b"held"
        await aeventually(lambda: pair.open_lines(1) == 0)


@pytest.mark.parametrize("shares", [True, False], ids=["fast", "redis-py"])
async def test_who_still_holds_a_server_that_has_left_may_use_it_and_leaves_nothing_open(shares: bool) -> None:
    async with Pair().listening() as pair, cluster_of(pair, shares=shares) as cluster:
        await cluster.request(say("ECHO", "x"))
        node = cluster.node(pair.addresses[1])
        node.leave()
        for _ in range(2):
            assert await node.commands.request(say("ECHO", "late")) == b"late"
            await aeventually(lambda: pair.open_lines(1) == 0)


async def test_threads_lose_connections_to_a_server_that_has_left() -> None:
    def make_for(address: Address) -> Callable[[], Any]:
        return sync_factory({"host": address.host, "port": address.port})

    async with Pair().listening() as pair:
        pair.holder = 1
        cluster = SyncCluster(SlotMap(pair.addresses[:1]), make_for)
        assert await asyncio.to_thread(cluster.request, say("ECHO", "x")) == b"x"
        assert pair.open_lines(1) == 1
        pair.holder, cluster.slots.is_stale = 0, True
        assert await asyncio.to_thread(cluster.request, say("ECHO", "y")) == b"y"
        await aeventually(lambda: pair.open_lines(1) == 0)
        cluster.close()


def test_a_scan_of_a_server_that_is_gone_has_the_cluster_looked_at_again() -> None:
    slots = SlotMap([Address("here", 1)])
    learnt = 0

    def perform(step: Any) -> Any:
        nonlocal learnt
        if isinstance(step, Learn):
            learnt += 1
            holder = b"gone" if learnt == 1 else b"here"
            slots.learn([[0, 16_383, [holder, 1]]], Address("here", 1))
        elif isinstance(step, ToNode) and step.address.host == "gone":
            raise redis_errors.ConnectionError("refused")
        elif isinstance(step, ToNode):
            return [b"0", [b"taskora:{t}:events"]]
        elif isinstance(step, Request):
            return drive(routed(step, slots), perform)
        return None

    operation = ScanTasks(cursor="0")
    page = carry_out(operation, Requests(Keyspace(), None, cluster_request_of), perform)
    assert (page.tasks, page.cursor, learnt) == (("t",), "0", 2)


@pytest.mark.parametrize(("named", "host"), [("", "asked"), ("?", "asked"), ("10.0.0.1", "10.0.0.1"), ("::1", "::1")])
def test_a_server_that_does_not_know_its_name_is_where_it_was_asked(named: str, host: str) -> None:
    moved = redis_errors.MovedError(f"866 {named}:7")
    assert target_of(moved, Address("asked", 1)) == Address(host, 7)
