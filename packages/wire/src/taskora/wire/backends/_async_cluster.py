"""Redis Cluster, for asyncio."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from taskora.contracts import BackendError
from taskora.wire._backend import Clock, EventFeed, SyncBackend
from taskora.wire._events import StreamEvent
from taskora.wire._flows import Pause, drive_async
from taskora.wire._keys import Keyspace
from taskora.wire._operations import Operation
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends import _requests
from taskora.wire.backends._address import Address
from taskora.wire.backends._async_connections import exchange
from taskora.wire.backends._cluster_map import (
    Learn,
    SlotMap,
    ToNode,
    cluster_request_of,
    learned,
    located,
    refreshed,
    routed,
    target_of,
)
from taskora.wire.backends._connection import AsyncConnection
from taskora.wire.backends._redis import RedisBackend, RedisFeed
from taskora.wire.backends._requests import Request
from taskora.wire.backends._single_flight import SingleFlight
from taskora.wire.backends._transport import open_lines

MakeConnection = Callable[[], AsyncConnection]
_TURNS: Final = 5
# How long readers of other streams may take to return when one has found something.
_FREE_SECONDS: Final = 0.2
# How long a stream is read where it is on its way to: nobody can be freed there.
_MOVING_MS: Final = 100


class RedisClusterBackend(RedisBackend):
    """A Redis or Valkey cluster. Every call goes to the server that holds the slot of its task.

    Nothing is lent to those who wait for work: every task has a slot of its own, and no command waits for keys of two.
    """

    def __init__(
        self,
        cluster: "AsyncCluster",
        make_blocking: Callable[[], SyncBackend],
        *,
        keyspace: Keyspace,
        clock: Clock | None,
    ) -> None:
        super().__init__(cluster, make_blocking, keyspace=keyspace, clock=clock)
        self._cluster = cluster
        self._requests = _requests.Requests(keyspace, clock, cluster_request_of)

    async def _perform(self, step: "Request | Pause | Operation[Any] | ToNode | Learn") -> Any:
        return await (self._cluster.perform(step) if isinstance(step, ToNode | Learn) else super()._perform(step))

    def open_feed(self) -> EventFeed:
        """A new reader of event streams; see `EventFeed`."""
        return ClusterFeed(self._cluster, self._keyspace)


class _Node:
    """The connections to one server."""

    def __init__(self, make: MakeConnection, *, fast: bool) -> None:
        self.connections, self.commands = open_lines(make, fast=fast)

    def leave(self) -> None:
        """Nobody needs this server any more: what is under way may end."""
        self.commands.leave()
        self.connections.leave()

    async def close(self) -> None:
        await self.connections.close()  # before the commands: it has the server let go of who is blocked
        await self.commands.close()


class AsyncCluster:
    """The connections to all servers of a cluster; finds the one that a request is for."""

    def __init__(
        self,
        slots: SlotMap,
        make_for: Callable[[Address], MakeConnection],
        *,
        fast: bool,
    ) -> None:
        self.slots: Final = slots
        self._make_for: Final = make_for
        self._fast: Final = fast
        self._nodes: Final[dict[Address, _Node]] = {}
        self._lent: Final[dict[AsyncConnection, _Node]] = {}
        self._learning: Final = SingleFlight(self._learn)
        self._closed = False

    def node(self, address: Address) -> _Node:
        """The connections to a server."""
        if self._closed:
            raise _requests.closed()
        found = self._nodes.get(address)
        if found is None:
            found = self._nodes[address] = _Node(self._make_for(address), fast=self._fast)
        return found

    async def request(self, request: Request) -> Any:
        """One command that answers at once."""
        return await drive_async(routed(request, self.slots), self.perform)

    async def blocking_request(self, request: Request) -> Any:
        """One command that may block."""
        return await drive_async(routed(request, self.slots), self._perform_blocking)

    async def perform(self, step: ToNode | Learn) -> Any:
        """One command, to a certain server, or a question to all."""
        if isinstance(step, Learn) or step.asking:
            return await self._perform_blocking(step)
        return await self.node(step.address).commands.request(step.request)

    async def _perform_blocking(self, step: ToNode | Learn) -> Any:
        if isinstance(step, Learn):
            return await self._learning.join() if self.slots.lacks(step) else None
        connections = self.node(step.address).connections
        if not step.asking:
            return await connections.blocking_request(step.request)
        async with connections.borrow() as connection:
            await exchange(connection, Request(("ASKING",)))
            return await exchange(connection, step.request)

    async def request_moving(self, request: Request, error: redis_errors.AskError) -> Any:
        """One command that may block, to the server that another one has asked us to ask."""
        address = target_of(error, self.slots.owner(request.key))
        return await self._perform_blocking(ToNode(address=address, request=request, asking=True))

    async def _learn(self) -> None:
        await drive_async(learned(self.slots), self.perform)
        for address in self._nodes.keys() - set(self.slots.primaries):
            self._nodes.pop(address).leave()

    async def locate(self, key: str) -> _Node:
        """The connections to the server of a key."""
        return self.node(await drive_async(located(key, self.slots), self.perform))

    async def acquire(self) -> AsyncConnection:
        """A connection to any server: what is published on one is heard on all."""
        await drive_async(refreshed(self.slots), self.perform)
        node = self.node(self.slots.owner(None))
        try:
            connection = await node.connections.acquire()
        except _requests.FAILURES:
            self.slots.is_stale = True
            raise
        self._lent[connection] = node
        return connection

    async def release(self, connection: AsyncConnection, *, clean: bool) -> None:
        """Takes a connection back; one that is not clean is closed."""
        await self._lent.pop(connection).connections.release(connection, clean=clean)

    async def close(self) -> None:
        """Closes every connection, also those in use."""
        self._closed = True
        await self._learning.cancel()
        nodes = list(self._nodes.values())
        self._nodes.clear()
        for node in nodes:
            await node.close()


class ClusterFeed:
    """Reads each stream from its own server, for no command reads keys of two slots."""

    def __init__(self, cluster: AsyncCluster, keyspace: Keyspace) -> None:
        self._cluster: Final = cluster
        self._keyspace: Final = keyspace
        self._feeds: Final[dict[str, tuple[_Node, RedisFeed]]] = {}
        self._interrupted: Final = asyncio.Event()

    async def read(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Reads events; see `EventFeed.read`."""
        try:
            found = await self._read_all(positions, 1, limit)
            if found or block_ms <= 1 or self._interrupted.is_set():
                return found
            return await self._read_first(positions, block_ms, limit)
        finally:
            self._interrupted.clear()

    async def _read_all(self, positions: Mapping[str, str], block_ms: int, limit: int) -> list[StreamEvent]:
        reads = [self._read_one(task, position, block_ms, limit) for task, position in positions.items()]
        found = await asyncio.gather(*reads, return_exceptions=True)
        return _joined(found)

    async def _read_first(self, positions: Mapping[str, str], block_ms: int, limit: int) -> list[StreamEvent]:
        """Blocks on all streams until one of them has something."""
        interruption = asyncio.ensure_future(self._idle(block_ms))
        reads = [
            asyncio.ensure_future(self._read_one(task, position, block_ms, limit))
            for task, position in positions.items()
        ]
        try:
            await asyncio.wait((interruption, *reads), return_when=asyncio.FIRST_COMPLETED)
            for task, read in zip(positions, reads, strict=True):
                if not read.done():
                    await self._free(task)
            if reads:
                await asyncio.wait(reads, timeout=_FREE_SECONDS)
        finally:
            for waiter in (interruption, *reads):
                waiter.cancel()  # a server that lets nobody be freed loses its connection
            await asyncio.gather(interruption, return_exceptions=True)
            found = await asyncio.gather(*reads, return_exceptions=True)
        return _joined(found)

    async def _idle(self, block_ms: int) -> None:
        try:
            async with asyncio.timeout(block_ms / 1000):
                await self._interrupted.wait()
        except TimeoutError:
            return

    async def _free(self, task: str) -> None:
        known = self._feeds.get(task)
        if known is not None:
            await known[1].interrupt()

    async def _read_one(self, task: str, position: str, block_ms: int, limit: int) -> list[StreamEvent]:
        for _ in range(_TURNS):
            feed = await self._feed_of(task)
            try:
                return await feed.read({task: position}, block_ms=block_ms, limit=limit)
            except BackendError as error:
                # The slot has moved, or the server is gone: whoever reads next finds the one that is there now.
                self._cluster.slots.is_stale = True
                await self._forget(task)
                cause = error.__cause__
                if not isinstance(cause, redis_errors.AskError):
                    raise
                if not isinstance(cause, redis_errors.MovedError):
                    return await self._read_there(cause, {task: position}, min(block_ms, _MOVING_MS), limit)
        raise BackendError(f"the servers of the cluster sent a reader of task {task!r} on {_TURNS} times")

    async def _read_there(
        self, error: redis_errors.AskError, position: dict[str, str], block_ms: int, limit: int
    ) -> list[StreamEvent]:
        """Reads a stream that is on its way to another server."""
        request = _requests.events_request(self._keyspace, position, block_ms, limit)
        try:
            reply = await self._cluster.request_moving(request, error)
        except _requests.FAILURES as failure:
            raise _requests.translate(failure) from failure
        return _requests.decode_events(self._keyspace, reply)

    async def _feed_of(self, task: str) -> RedisFeed:
        try:
            node = await self._cluster.locate(self._keyspace.task(task).events_key)
        except _requests.FAILURES as error:
            raise _requests.translate(error) from error
        known = self._feeds.get(task)
        if known is not None and known[0] is node:
            return known[1]
        await self._forget(task)
        feed = RedisFeed(node.connections, node.commands, self._keyspace)
        self._feeds[task] = (node, feed)
        return feed

    async def _forget(self, task: str) -> None:
        known = self._feeds.pop(task, None)
        if known is not None:
            await known[1].close()

    async def interrupt(self) -> None:
        """Makes a waiting read return; see `EventFeed.interrupt`."""
        self._interrupted.set()

    async def close(self) -> None:
        """Gives the connections back; nobody may be reading."""
        for task in tuple(self._feeds):
            await self._forget(task)


def _joined(replies: "list[list[StreamEvent] | BaseException]") -> list[StreamEvent]:
    """Events of all streams; an error only if nothing was read, for what was read would be lost."""
    events = [event for reply in replies if not isinstance(reply, BaseException) for event in reply]
    errors = [reply for reply in replies if isinstance(reply, BaseException)]
    if errors and not events:
        raise errors[0]
    return events
