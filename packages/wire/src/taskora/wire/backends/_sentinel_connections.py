"""Connections to the master of a service, wherever it is when they connect."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from taskora.wire._call import Arg
from taskora.wire._flows import drive, drive_async
from taskora.wire.backends import _async_connections, _sync_connections
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._address import Address
from taskora.wire.backends._connection import AsyncConnection, SyncConnection
from taskora.wire.backends._requests import Request
from taskora.wire.backends._sentinel import Sentinels, ToSentinel, check_role, master_address

_ROLE: Final = Request(("ROLE",))


class AsyncMaster:
    """Asks the sentinels for the address each time that it connects, and the server whether it is a master.

    Args:
        sentinels: Whom to ask, for what.
        make_sentinel: Makes a connection to a sentinel.
        make_server: Makes a connection to the server that they name.
        connect_seconds: How long all this may take.
    """

    def __init__(
        self,
        sentinels: Sentinels,
        make_sentinel: Callable[[Address], AsyncConnection],
        make_server: Callable[[Address], AsyncConnection],
        connect_seconds: float,
    ) -> None:
        self._sentinels: Final = sentinels
        self._make_sentinel: Final = make_sentinel
        self._make_server: Final = make_server
        self._server: AsyncConnection | None = None
        self.connect_seconds: Final = connect_seconds

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as anybody knows."""
        return self._server is not None and self._server.is_connected

    @property
    def transport(self) -> asyncio.Transport:
        """What it is connected by."""
        return self._connected().transport

    def _connected(self) -> AsyncConnection:
        if self._server is None:
            raise _not_connected()
        return self._server

    async def connect(self) -> None:
        """Connects to the master of this moment."""
        address = await drive_async(master_address(self._sentinels), self._ask)
        server = self._server = self._make_server(address)
        try:
            await server.connect()
            with suppress(redis_errors.NoPermissionError):  # a replica that is written to says so
                check_role(address, await _async_connections.exchange(server, _ROLE))
        except BaseException:
            self.abort()
            raise

    async def _ask(self, step: ToSentinel) -> Any:
        connection = self._make_sentinel(step.address)
        try:
            await _async_connections.connect(connection)
            return await _async_connections.exchange(connection, step.request)
        finally:
            connection.abort()

    async def send(self, args: Sequence[Arg]) -> None:
        """Sends one command."""
        await self._connected().send(args)

    async def read(self, *, pushed: bool = False) -> Any:
        """The next reply."""
        return await self._connected().read(pushed=pushed)

    def abort(self) -> None:
        """Ends it at once."""
        server, self._server = self._server, None
        if server is not None:
            server.abort()

    async def close(self) -> None:
        """Ends it, and waits until it has ended."""
        server, self._server = self._server, None
        if server is not None:
            await server.close()


class SyncMaster:
    """The synchronous twin of `AsyncMaster`."""

    def __init__(
        self,
        sentinels: Sentinels,
        make_sentinel: Callable[[Address], SyncConnection],
        make_server: Callable[[Address], SyncConnection],
    ) -> None:
        self._sentinels: Final = sentinels
        self._make_sentinel: Final = make_sentinel
        self._make_server: Final = make_server
        self._server: SyncConnection | None = None

    def connect(self) -> None:
        """Connects to the master of this moment; does nothing where there is a connection."""
        if self._server is not None:
            return
        address = drive(master_address(self._sentinels), self._ask)
        server = self._server = self._make_server(address)
        try:
            server.connect()
            with suppress(redis_errors.NoPermissionError):  # a replica that is written to says so
                check_role(address, _sync_connections.exchange(server, _ROLE))
        except BaseException:
            self.close()
            raise

    def _ask(self, step: ToSentinel) -> Any:
        connection = self._make_sentinel(step.address)
        try:
            connection.connect()
            return _sync_connections.exchange(connection, step.request)
        finally:
            connection.close()

    def _connected(self) -> SyncConnection:
        if self._server is None:
            raise _not_connected()
        return self._server

    def send(self, args: Sequence[Arg]) -> None:
        """Sends one command."""
        self._connected().send(args)

    def send_all(self, commands: Sequence[Sequence[Arg]]) -> None:
        """Sends several commands at once."""
        self._connected().send_all(commands)

    def read(self, seconds: float) -> Any:
        """The next reply."""
        return self._connected().read(seconds)

    def close(self) -> None:
        """Ends it."""
        server, self._server = self._server, None
        if server is not None:
            server.close()


def _not_connected() -> Exception:
    return redis_errors.ConnectionError("not connected to a master")
