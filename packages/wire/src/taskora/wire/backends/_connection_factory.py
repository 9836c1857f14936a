"""Makes connections of redis-py with the user's settings and our rules."""

from collections.abc import Callable
from typing import Any, Final

import redis
from redis.asyncio import connection as async_connections
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskora.contracts import UsageError
from taskora.wire.backends._resp import CONNECT_TIMEOUT, REPLY_TIMEOUT
from taskora.wire.backends._sentinel_connections import (
    AsyncMaster,
    AsyncMasterOverTls,
    SyncMaster,
    SyncMasterOverTls,
)

_SYNC_CLASSES: Final[dict[type, type]] = {
    async_connections.Connection: redis.Connection,
    async_connections.SSLConnection: redis.SSLConnection,
    async_connections.UnixDomainSocketConnection: redis.UnixDomainSocketConnection,
    AsyncMaster: SyncMaster,
    AsyncMasterOverTls: SyncMasterOverTls,
}
_ASYNC_CLASSES: Final[dict[type, type]] = {sync: asyncio for asyncio, sync in _SYNC_CLASSES.items()}
_OURS: Final = frozenset(
    {
        "connection_class", "max_connections", "socket_timeout", "retry", "retry_on_timeout", "retry_on_error",
        "health_check_interval", "parser_class", "decode_responses", "maint_notifications_config",
        "maint_notifications_pool_handler", "event_dispatcher", "himport_registry",
    }
)  # fmt: skip


def async_factory(options: dict[str, Any]) -> Callable[[], Any]:
    """Makes connections for asyncio with the user's address and credentials and our own rules for time and repetition.

    Repeating a command is ours to decide: only we know how to mark the second one.

    Raises:
        UsageError: no connection takes these options.
    """
    chosen: type = options.get("connection_class", async_connections.Connection)
    return _factory(_ASYNC_CLASSES.get(chosen, chosen), options, AsyncRetry(NoBackoff(), 0), None)


def sync_factory(options: dict[str, Any], *, reply_timeout: float | None = None) -> Callable[[], Any]:
    """Makes connections for threads; see `async_factory`."""
    chosen: type = options.get("connection_class", redis.Connection)
    return _factory(_SYNC_CLASSES.get(chosen, chosen), options, Retry(NoBackoff(), 0), reply_timeout or REPLY_TIMEOUT)


def _factory(
    connection_class: Callable[..., Any],
    options: dict[str, Any],
    retry: Retry | AsyncRetry,
    socket_timeout: float | None,
) -> Callable[[], Any]:
    settings = {name: value for name, value in options.items() if name not in _OURS}
    settings |= {
        "socket_timeout": socket_timeout,
        "socket_connect_timeout": options.get("socket_connect_timeout") or CONNECT_TIMEOUT,
        "retry": retry,
        "protocol": options.get("protocol", 2),
    }

    def make() -> Any:
        return connection_class(**settings)

    try:
        make()  # does not connect
    except TypeError as error:
        raise UsageError(f"the connection cannot be made with these options: {error}") from None
    return make
