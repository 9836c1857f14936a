"""Makes connections with the user's settings and our rules: our own for a URL, redis-py's for a client of it."""

from collections.abc import Callable
from typing import Any

from taskora.wire.backends._connection import AsyncConnection, SyncConnection
from taskora.wire.backends._introduction import read_settings
from taskora.wire.backends._requests import REPLY_TIMEOUT


def async_factory(options: dict[str, Any], *, redis_py: bool = False) -> Callable[[], AsyncConnection]:
    """Makes connections for asyncio; with `redis_py` they are its.

    Raises:
        UsageError: no connection takes these options.
    """
    if redis_py:
        from taskora.wire.backends._redis_py import make_async

        return make_async(options)
    from taskora.wire.backends._async_server_connection import AsyncServerConnection

    settings = read_settings(options)
    return lambda: AsyncServerConnection(settings)


def sync_factory(
    options: dict[str, Any], *, redis_py: bool = False, reply_timeout: float | None = None
) -> Callable[[], SyncConnection]:
    """Makes connections for threads; see `async_factory`."""
    seconds = reply_timeout or REPLY_TIMEOUT
    if redis_py:
        from taskora.wire.backends._redis_py import make_sync

        return make_sync(options, seconds)
    from taskora.wire.backends._sync_server_connection import SyncServerConnection

    settings = read_settings(options)
    return lambda: SyncServerConnection(settings, reply_seconds=seconds)
