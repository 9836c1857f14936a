"""Connections to the master of a service, wherever it is when they connect."""

from collections.abc import Callable
from typing import Any

import redis
from redis import exceptions as redis_errors
from redis.asyncio import connection as async_connections

from taskora.wire._flows import drive, drive_async
from taskora.wire.backends import _async_connections, _sync_connections
from taskora.wire.backends._address import Address
from taskora.wire.backends._resp import Request
from taskora.wire.backends._sentinel import Sentinels, ToSentinel, check_role, master_address

MakeFor = Callable[[Address], Any]
_ROLE = Request(("ROLE",))


class AsyncMaster(async_connections.Connection):
    """Asks the sentinels for the address each time that it connects, and the server whether it is a master.

    Args:
        sentinels: Whom to ask, for what.
        make_async: Makes a connection for asyncio to a sentinel.
        make_sync: Makes one for threads.
        settings: As for its base class.
    """

    def __init__(self, *, sentinels: Sentinels, make_async: MakeFor, make_sync: MakeFor, **settings: Any) -> None:
        self._sentinels = sentinels
        self._make_sentinel = make_async
        super().__init__(**settings)

    async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        """Connects to the master of this moment; called by `connect`."""
        if self.is_connected:
            return
        self.host, self.port = await drive_async(master_address(self._sentinels), self._ask)
        await super().connect_check_health(check_health, retry_socket_connect)
        try:
            check_role(Address(self.host, self.port), await _async_connections.exchange(self, _ROLE))
        except redis_errors.NoPermissionError:
            return  # a replica that is written to says so
        except BaseException:
            await _async_connections.drop(self)
            raise

    async def _ask(self, step: ToSentinel) -> Any:
        connection = self._make_sentinel(step.address)
        try:
            await _async_connections.connect(connection)
            return await _async_connections.exchange(connection, step.request)
        finally:
            await _async_connections.drop(connection)


class AsyncMasterOverTls(AsyncMaster, async_connections.SSLConnection):
    """The same over TLS."""


class SyncMaster(redis.Connection):
    """The synchronous twin of `AsyncMaster`."""

    def __init__(self, *, sentinels: Sentinels, make_async: MakeFor, make_sync: MakeFor, **settings: Any) -> None:
        self._sentinels = sentinels
        self._make_sentinel = make_sync
        untyped: Any = super()
        untyped.__init__(**settings)

    def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        """Connects to the master of this moment; called by `connect`."""
        if self.is_connected:
            return
        self.host, self.port = drive(master_address(self._sentinels), self._ask)
        super().connect_check_health(check_health, retry_socket_connect)
        try:
            check_role(Address(self.host, self.port), _sync_connections.exchange(self, _ROLE))
        except redis_errors.NoPermissionError:
            return  # a replica that is written to says so
        except BaseException:
            untyped: Any = self
            untyped.disconnect()
            raise

    def _ask(self, step: ToSentinel) -> Any:
        connection = self._make_sentinel(step.address)
        try:
            connection.connect()
            return _sync_connections.exchange(connection, step.request)
        finally:
            connection.disconnect()


class SyncMasterOverTls(SyncMaster, redis.SSLConnection):
    """The same over TLS."""
