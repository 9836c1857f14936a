"""Connections of redis-py: for its clients, and for who asks for them. To import this is to import redis-py."""

import asyncio
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import redis
from redis.asyncio import connection as async_connections
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskora.contracts import UsageError
from taskora.wire._call import Arg
from taskora.wire.backends import _redis_errors
from taskora.wire.backends._requests import CONNECT_TIMEOUT

# What carries what the scheme of a URL says.
_CLASSES: Final[dict[str, type]] = {
    "redis": async_connections.Connection,
    "rediss": async_connections.SSLConnection,
    "unix": async_connections.UnixDomainSocketConnection,
}
_SYNC_CLASSES: Final[dict[type, type]] = {
    async_connections.Connection: redis.Connection,
    async_connections.SSLConnection: redis.SSLConnection,
    async_connections.UnixDomainSocketConnection: redis.UnixDomainSocketConnection,
}
_ASYNC_CLASSES: Final[dict[type, type]] = {sync: asyncio for asyncio, sync in _SYNC_CLASSES.items()}
# What redis-py says of a connection that broke after it had been made.
_ENDS: Final = ("Connection closed by server", " while reading from ", " while writing to ")
_OURS: Final = frozenset(
    {
        "connection_class", "scheme", "max_connections", "socket_timeout", "retry", "retry_on_timeout",
        "retry_on_error", "health_check_interval", "parser_class", "decode_responses", "maint_notifications_config",
        "maint_notifications_pool_handler", "event_dispatcher", "himport_registry",
    }
)  # fmt: skip


class AsyncRedisPyConnection:
    """See `AsyncConnection`. It was made with `options`. Uses two private attributes of redis-py's connections."""

    def __init__(self, connection: async_connections.AbstractConnection, options: Mapping[str, Any]) -> None:
        self._connection: Final[Any] = connection
        self._options: Final = options

    @property
    def connect_seconds(self) -> float:
        """How long connecting may take. redis-py's own limit is for the socket only."""
        return self._connection.socket_connect_timeout or CONNECT_TIMEOUT

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as anybody knows."""
        return bool(self._connection.is_connected)

    @property
    def transport(self) -> asyncio.Transport:
        """What it is connected by."""
        transport: asyncio.Transport = self._connection._writer.transport
        return transport

    async def connect(self) -> None:
        """Connects, and introduces us to the server."""
        with _our_errors(), _refusals(self._connection, self._options):
            await self._connection.connect()

    async def send(self, args: Sequence[Arg]) -> None:
        """Sends one command."""
        with _our_errors():
            await self._connection.send_command(*args, check_health=False)

    async def read(self, *, pushed: bool = False) -> Any:
        """The next reply. The deadline is the caller's: redis-py returns None for a read that timed out."""
        with _our_errors():
            return await self._connection.read_response(disable_decoding=True, timeout=math.inf, push_request=pushed)

    def abort(self) -> None:
        """Ends it at once. Over TLS, a polite goodbye would wait for an answer that may never come."""
        if self._connection._writer is not None:
            self._connection._writer.transport.abort()
            self._connection._close()

    async def close(self) -> None:
        """Ends it, and waits until it has ended."""
        await self._connection.disconnect()


class SyncRedisPyConnection:
    """See `SyncConnection`."""

    def __init__(self, connection: Any, options: Mapping[str, Any]) -> None:
        self._connection: Final = connection
        self._options: Final = options

    def connect(self) -> None:
        """Connects, and introduces us to the server; does nothing where there is a connection."""
        with _our_errors(), _refusals(self._connection, self._options):
            self._connection.connect()

    def send(self, args: Sequence[Arg]) -> None:
        """Sends one command."""
        with _our_errors():
            self._connection.send_command(*args)

    def send_all(self, commands: Sequence[Sequence[Arg]]) -> None:
        """Sends several commands at once."""
        with _our_errors():
            self._connection.send_packed_command(self._connection.pack_commands(commands))

    def read(self, seconds: float) -> Any:
        """The next reply."""
        with _our_errors():
            return self._connection.read_response(disable_decoding=True, timeout=seconds)

    def close(self) -> None:
        """Ends it."""
        self._connection.disconnect()


@contextmanager
def _our_errors() -> Generator[None]:
    try:
        yield
    except redis.RedisError as error:
        ours = _ours(error)
        raise ours from (error if str(ours) == str(error) else None)  # a cause is printed too


@contextmanager
def _refusals(connection: Any, options: Mapping[str, Any]) -> Generator[None]:
    """Says what is wrong with certificates; redis-py has one kind of error for that and for a server that is away."""
    try:
        yield
    except redis.RedisError as error:
        if not isinstance(connection, redis.SSLConnection | async_connections.SSLConnection):
            raise
        from taskora.wire.backends._tls import check_files, cut_off, refusal

        refused = refusal(error.__context__ or error, options, f"{connection.host}:{connection.port}")
        if refused is not None:
            raise refused from error
        check_files(options)
        if type(error) is redis.ConnectionError and any(words in str(error) for words in _ENDS):
            raise cut_off(_redis_errors.ConnectionError(str(error)), options) from error
        raise


def _ours(error: redis.RedisError) -> _redis_errors.RedisError:
    """The error of ours that has the name of redis-py's, or of the nearest kind above it."""
    if type(error) is redis.ResponseError:  # it has fewer kinds than we have
        return _redis_errors.error_of(str(error))
    args = [_redis_errors.unquoted(word) if isinstance(word, str) else word for word in error.args]
    for kind in type(error).__mro__:
        ours: Any = getattr(_redis_errors, kind.__name__, None)
        if isinstance(ours, type) and issubclass(ours, _redis_errors.RedisError):
            return ours(*args)
    return _redis_errors.RedisError(*args)


def make_async(options: dict[str, Any]) -> Callable[[], AsyncRedisPyConnection]:
    """Makes connections for asyncio with the user's address and credentials and our own rules for time and repetition.

    Repeating a command is ours to decide: only we know how to mark the second one.

    Raises:
        UsageError: no connection takes these options.
    """
    chosen = _class_of(options)
    make = _factory(_ASYNC_CLASSES.get(chosen, chosen), options, AsyncRetry(NoBackoff(), 0), None)
    return lambda: AsyncRedisPyConnection(make(), options)


def make_sync(options: dict[str, Any], reply_timeout: float) -> Callable[[], SyncRedisPyConnection]:
    """Makes connections for threads; see `make_async`."""
    chosen = _class_of(options)
    make = _factory(_SYNC_CLASSES.get(chosen, chosen), options, Retry(NoBackoff(), 0), reply_timeout)
    return lambda: SyncRedisPyConnection(make(), options)


def _class_of(options: dict[str, Any]) -> type:
    chosen: type = options.get("connection_class") or _CLASSES[options.get("scheme", "redis")]
    return chosen


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
