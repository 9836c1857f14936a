"""Redis and Valkey, for asyncio."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from taskora.wire._backend import Cancellation, Clock, EventFeed, SyncBackend
from taskora.wire._events import StreamEvent
from taskora.wire._flows import Pause, drive_async
from taskora.wire._handshake import handshake
from taskora.wire._keys import Keyspace
from taskora.wire._operations import Operation
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends import _requests
from taskora.wire.backends._async_connections import exchange
from taskora.wire.backends._connection import AsyncConnection
from taskora.wire.backends._requests import Request
from taskora.wire.backends._single_flight import SingleFlight
from taskora.wire.backends._transport import Commands, Connections, Lend
from taskora.wire.backends._wake_ups import WakeUps

R = TypeVar("R")

# How long a subscription may be silent before it has to prove that it is alive.
_QUIET_SECONDS: Final = 15.0


class RedisBackend:
    """A standalone Redis 6.2 or Valkey server, or newer.

    Connects on first use, and checks then that server and keyspace can be used. Belongs to one event loop.
    Commands that answer at once travel over `commands`, if it is given; those that block over `connections`.
    Many waits for work share a connection that `lend` gives; without it each has its own.
    """

    def __init__(
        self,
        connections: Connections,
        make_blocking: Callable[[], SyncBackend],
        *,
        keyspace: Keyspace,
        clock: Clock | None = None,
        commands: Commands | None = None,
        lend: Lend | None = None,
    ) -> None:
        self._connections = connections
        self._commands: Commands = commands or connections
        self._requests = _requests.Requests(keyspace, clock)
        self._wake_ups = WakeUps(self._connections, self._commands, lend)
        self._make_blocking = make_blocking
        self._keyspace = keyspace
        self._ready = False
        self._checking: SingleFlight[None] = SingleFlight(self._check)

    def run(self, operation: Operation[R]) -> Coroutine[Any, Any, R]:
        """Carries out one operation; see `Backend.run`."""
        return self._run(operation) if self._ready else self._run_first(operation)

    async def _run_first(self, operation: Operation[R]) -> R:
        await self._checking.join()
        return await self._run(operation)

    async def _run(self, operation: Operation[R]) -> R:
        """The asyncio twin of `carry_out`: few steps lie between an operation and the connection."""
        requests = self._requests
        command = requests.command(operation)
        try:
            reply = await self._commands.request(requests.request_of(command.call, hasty=operation.comes_again))
        except Exception as error:  # noqa: BLE001 - the flow decides what it can handle
            return await drive_async(requests.rest(operation, command, error), self._perform)
        return command.decode(reply)

    async def _perform(self, step: Request | Pause | Operation[Any]) -> Any:
        if isinstance(step, Request):
            return await self._commands.request(step)
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        return await self._run(step)

    async def _check(self) -> None:
        await drive_async(_requests.check_server(), self._perform)
        await drive_async(handshake(), self._perform)
        self._ready = True

    async def wait_for_work(self, task: str, *, timeout_ms: int, now_ms: int) -> None:
        """Waits for the wake-up token of a task; see `Backend.wait_for_work`."""
        started = time.monotonic()
        marker_key = self._keyspace.task(task).marker_key
        try:
            due_ms = await self._wake_ups.wait(marker_key, timeout_ms)
            if due_ms is None:
                return
            passed_ms = (time.monotonic() - started) * 1000
            until_due_ms = due_ms - now_ms - passed_ms
            left_ms = min(until_due_ms, timeout_ms - passed_ms)
            if left_ms > 0:
                await self._wake_ups.wait(marker_key, left_ms)
        except _requests.FAILURES as error:
            raise _requests.translate(error) from error

    @asynccontextmanager
    async def cancellations(self, tasks: Sequence[str]) -> AsyncGenerator[AsyncIterator[Cancellation]]:
        """Requests to cancel active jobs; see `Backend.cancellations`."""
        if not self._ready:
            await self._checking.join()
        channels = {self._keyspace.task(task).cancel_channel: task for task in tasks}
        connection = await self._subscribe(channels)
        try:
            yield _messages(connection, channels)
        finally:
            await self._connections.release(connection, clean=False)  # a subscribed one is of no use to others

    async def _subscribe(self, channels: Iterable[str]) -> AsyncConnection:
        try:
            connection = await self._connections.acquire()
            try:
                for channel in channels:
                    await exchange(connection, Request(("SUBSCRIBE", channel)), pushed=True)
            except BaseException:
                await self._connections.release(connection, clean=False)
                raise
        except _requests.FAILURES as error:
            raise _requests.translate(error) from error
        return connection

    def open_feed(self) -> EventFeed:
        """A new reader of event streams; see `EventFeed`."""
        return RedisFeed(self._connections, self._commands, self._keyspace)

    def blocking(self) -> SyncBackend:
        """The same server for threads."""
        return self._make_blocking()

    async def close(self) -> None:
        """Closes all connections of this backend."""
        await self._checking.cancel()
        await self._wake_ups.close()
        await self._connections.close()  # before the commands: it has the server let go of who is blocked
        await self._commands.close()


async def _messages(connection: AsyncConnection, channels: Mapping[str, str]) -> AsyncIterator[Cancellation]:
    while True:
        try:
            message = await _next_message(connection)
        except _requests.FAILURES as error:
            raise _requests.translate(error) from error
        if message[0] == b"message":
            yield Cancellation(task=channels[message[1].decode()], job_id=message[2].decode())


async def _next_message(connection: AsyncConnection) -> list[bytes]:
    for _ in range(2):
        try:
            async with asyncio.timeout(_QUIET_SECONDS):
                message: list[bytes] = await connection.read(pushed=True)
        except TimeoutError:
            await connection.send(("PING",))
        else:
            return message
    raise redis_errors.TimeoutError("the subscription does not answer")


class RedisFeed:
    """Blocks on a connection of its own; `interrupt` frees it from another one."""

    def __init__(self, connections: Connections, commands: Commands, keyspace: Keyspace) -> None:
        self._connections = connections
        self._commands = commands
        self._keyspace = keyspace
        self._interrupted = asyncio.Event()
        self._connection: AsyncConnection | None = None
        self._client_id = 0
        self._blocked = False

    async def read(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Reads events; see `EventFeed.read`."""
        try:
            if not positions:
                await self._idle(block_ms)
                return []
            return await self._read(_requests.events_request(self._keyspace, dict(positions), block_ms, limit))
        except _requests.FAILURES as error:
            raise _requests.translate(error) from error
        finally:
            self._interrupted.clear()

    async def _read(self, request: Request) -> list[StreamEvent]:
        connection = await self._connected()
        if self._interrupted.is_set():
            return []
        self._blocked = True
        clean = False
        try:
            events = _requests.decode_events(self._keyspace, await exchange(connection, request))
            clean = True
            return events
        finally:
            self._blocked = False
            if not clean:
                await self._disconnect(clean=False)

    async def _connected(self) -> AsyncConnection:
        if self._connection is not None:
            return self._connection
        connection = await self._connections.acquire()
        try:
            self._client_id = await exchange(connection, Request(("CLIENT", "ID")))
        except redis_errors.NoPermissionError:
            self._client_id = 0
        except BaseException:
            await self._connections.release(connection, clean=False)
            raise
        self._connection = connection
        return connection

    async def _disconnect(self, *, clean: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._connections.release(connection, clean=clean)

    async def _idle(self, block_ms: int) -> None:
        try:
            async with asyncio.timeout(block_ms / 1000):
                await self._interrupted.wait()
        except TimeoutError:
            return

    async def interrupt(self) -> None:
        """Frees a waiting read; see `EventFeed.interrupt`."""
        self._interrupted.set()
        while self._interrupted.is_set() and self._blocked and self._client_id:
            try:
                freed = await self._commands.request(Request(("CLIENT", "UNBLOCK", self._client_id)))
            except _requests.FAILURES:
                return  # not allowed, or not connected: the block time ends by itself
            if freed:
                return
            await asyncio.sleep(0.001)

    async def close(self) -> None:
        """Gives the connection back; nobody may be reading."""
        await self._disconnect(clean=True)
