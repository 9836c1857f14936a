"""Makes connections of redis-py with the user's settings and our rules."""

from collections.abc import Callable
from typing import Any, Final

import redis
from redis.asyncio import connection as async_connections
from redis.asyncio.retry import Retry as AsyncRetry
from redis.retry import Retry

from taskora.contracts import UsageError
from taskora.wire.backends._resp import CONNECT_TIMEOUT, REPLY_TIMEOUT

SYNC_CLASSES: Final[dict[type, type]] = {
    async_connections.Connection: redis.Connection,
    async_connections.SSLConnection: redis.SSLConnection,
    async_connections.UnixDomainSocketConnection: redis.UnixDomainSocketConnection,
}
ASYNC_CLASSES: Final[dict[type, type]] = {sync: asyncio for asyncio, sync in SYNC_CLASSES.items()}


def connection_factory(
    options: dict[str, Any], counterparts: dict[type, type], default: type, retry: Retry | AsyncRetry
) -> Callable[[], Any]:
    """Makes connections with the user's address and credentials and our own rules for time and repetition.

    Repeating a command is ours to decide: only we know how to mark the second one. RESP 2 has every reply we need in
    one shape on all servers.
    """
    settings = {name: value for name, value in options.items() if name not in _OURS}
    chosen: type = options.get("connection_class", default)
    connection_class: Callable[..., Any] = counterparts.get(chosen, chosen)
    settings |= {
        "socket_timeout": None if default is async_connections.Connection else REPLY_TIMEOUT,
        "socket_connect_timeout": options.get("socket_connect_timeout") or CONNECT_TIMEOUT,
        "retry": retry,
        "protocol": 2,
    }

    def make() -> Any:
        return connection_class(**settings)

    try:
        make()  # does not connect
    except TypeError as error:
        raise UsageError(f"the connection cannot be made with these options: {error}") from None
    return make


_OURS: Final = frozenset(
    {
        "connection_class", "max_connections", "socket_timeout", "retry", "retry_on_timeout", "retry_on_error",
        "protocol", "health_check_interval", "parser_class", "decode_responses", "maint_notifications_config",
        "maint_notifications_pool_handler", "event_dispatcher", "himport_registry",
    }
)  # fmt: skip
