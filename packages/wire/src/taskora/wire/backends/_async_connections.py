"""Connections of the asyncio backend: made on demand, kept, and thrown away when anything went wrong on them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._connection import AsyncConnection
from taskora.wire.backends._requests import Request, closed, is_transient

_CONCURRENT_COMMANDS: Final = 16
# How long closing waits for what has to be done before.
LAST_SECONDS: Final = 1.0


class AsyncConnections:
    """A pool. Commands that answer at once share a bounded number; those that block may have as many as they need."""

    def __init__(self, make: Callable[[], AsyncConnection]) -> None:
        self._make = make
        self._idle: list[AsyncConnection] = []
        self._busy: set[AsyncConnection] = set()
        self._slots = asyncio.Semaphore(_CONCURRENT_COMMANDS)
        self._is_left = False
        self._closed = False

    async def request(self, request: Request) -> Any:
        """One command that answers at once; waits for its turn when too many are under way, as long as for a reply."""
        try:
            async with asyncio.timeout(request.timeout):
                await self._slots.acquire()
        except TimeoutError as error:
            raise redis_errors.TimeoutError(f"no connection was free within {request.timeout:g}s") from error
        try:
            return await self.blocking_request(request)
        finally:
            self._slots.release()

    async def blocking_request(self, request: Request) -> Any:
        """One command that may block."""
        async with self.borrow() as connection:
            return await exchange(connection, request)

    @asynccontextmanager
    async def borrow(self) -> AsyncGenerator[AsyncConnection]:
        """A connection for one user.

        It is kept afterwards only if nothing was raised or cancelled meanwhile: a reply that is still under way would
        be taken for the answer to the next command. Errors that the server answered with leave it clean. What broke
        one connection has often broken all: the idle ones are closed with it, or each would cost its next user a try.
        """
        connection = await self.acquire()
        clean = False
        try:
            yield connection
            clean = True
        except Exception as error:
            if is_transient(error):
                self._close_idle()
            else:
                clean = isinstance(error, redis_errors.ResponseError) and connection.is_connected
            raise
        finally:
            await self.release(connection, clean=clean)

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Callable[[Request], Awaitable[Any]]]:
        """A connection for one user, who may block it; see `borrow`."""
        async with self.borrow() as connection:
            yield partial(exchange, connection)

    async def acquire(self) -> AsyncConnection:
        """A connected connection, to be given back by `release`."""
        if self._closed:
            raise closed()
        connection = self._idle.pop() if self._idle else self._make()
        self._busy.add(connection)
        try:
            if not connection.is_connected:
                await connect(connection)
        except BaseException:
            await self.release(connection, clean=False)
            raise
        return connection

    async def release(self, connection: AsyncConnection, *, clean: bool) -> None:
        """Takes a connection back; one that is not clean is closed."""
        self._busy.discard(connection)
        if clean and not (self._closed or self._is_left):
            self._idle.append(connection)
        else:
            connection.abort()

    def _close_idle(self) -> None:
        connections, self._idle = self._idle, []
        for connection in connections:
            connection.abort()

    def leave(self) -> None:
        """Nobody needs the server any more: closes what is idle, and keeps no connection from now on."""
        self._is_left = True
        self._close_idle()

    async def close(self) -> None:
        """Closes every connection, also those in use."""
        self._closed = True
        connections = [*self._idle, *self._busy]
        self._idle.clear()
        for connection in connections:
            await connection.close()


async def connect(connection: AsyncConnection) -> None:
    """Connects, and introduces us to the server."""
    seconds = connection.connect_seconds
    try:
        async with asyncio.timeout(seconds):
            await connection.connect()
    except TimeoutError as error:
        connection.abort()
        raise redis_errors.TimeoutError(f"not connected within {seconds:g}s") from error


async def exchange(connection: AsyncConnection, request: Request, *, pushed: bool = False) -> Any:
    """One command and its reply, as bytes; `pushed` where RESP 3 has a message instead of a reply."""
    try:
        async with asyncio.timeout(request.timeout):
            await connection.send(request.args)
            return await connection.read(pushed=pushed)
    except TimeoutError as error:
        raise redis_errors.TimeoutError(f"no reply within {request.timeout:g}s") from error


async def finish(chores: Iterable[asyncio.Task[None]]) -> None:
    """Gives what somebody should do before all is closed a moment to end."""
    tasks = list(chores)
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=LAST_SECONDS)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late)
