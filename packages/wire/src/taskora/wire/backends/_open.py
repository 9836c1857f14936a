"""From what a user has (a URL, a client, a backend) to a backend."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis import RedisCluster
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.asyncio import connection as async_connections
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskora.contracts import UsageError
from taskora.wire._backend import Backend, Clock, SyncBackend
from taskora.wire._keys import Keyspace
from taskora.wire.backends._connection_factory import ASYNC_CLASSES, SYNC_CLASSES, connection_factory
from taskora.wire.backends._redirection import RedirectableBackend, RedirectableSyncBackend, is_redirected
from taskora.wire.backends._redis import RedisBackend
from taskora.wire.backends._redis_sync import SyncRedisBackend
from taskora.wire.backends._transport import Transport, is_fast, share_connection, take_transport

B = TypeVar("B")

Client: TypeAlias = redis.Redis | redis.asyncio.Redis
Target: TypeAlias = str | Client | Backend
SyncTarget: TypeAlias = str | Client | SyncBackend

_REDIS_SCHEMES: Final = ("redis", "rediss", "unix")
_CLUSTER_SCHEMES: Final = ("redis+cluster", "rediss+cluster")
_LATER_SCHEMES: Final = ("redis+sentinel",)
_SCHEMES: Final = "redis://, rediss://, unix://, redis+cluster://, memory:// or embedded://"


def open_backend(
    target: Target, *, prefix: str | None = None, clock: Clock | None = None, transport: Transport = "auto"
) -> Backend:
    """A backend for asyncio. A client is only read for its settings, and stays open.

    `transport` is how commands travel to a server: `fast` shares one connection, `redis-py` has a pool. `auto` leaves
    it to the URL (`?transport=fast`), and where that says nothing it is `fast` for a URL and `redis-py` for a client.

    Raises:
        UsageError: `target` is none of the things a backend can be made of, or there is no such transport.
    """
    if isinstance(target, str | redis.Redis | redis.asyncio.Redis):
        make = _maker(target, prefix, clock, transport)
        return RedirectableBackend(make, prefix, lazily=_may_wait(target))
    if not hasattr(target, "wait_for_work"):
        raise _refuse(target)
    return _accept(target, prefix)


def _may_wait(target: str | Client) -> bool:
    """Whether to begin only when it is needed: no server is started for a program that is sent elsewhere."""
    return isinstance(target, str) and _scheme_of(target) == "embedded" and is_redirected()


def _maker(
    target: str | Client, prefix: str | None, clock: Clock | None, transport: Transport = "auto"
) -> Callable[[], Backend]:
    keyspace = Keyspace(prefix)
    if not isinstance(target, str):
        fast = is_fast(take_transport({}, transport), borrowed=True)
        return lambda: _redis_backend(_client_options(target), keyspace, clock, fast=fast)
    scheme = _scheme_of(target)
    if scheme == "memory":
        return lambda: _shared_memory(target, prefix)
    if scheme in _CLUSTER_SCHEMES:
        return lambda: _open_cluster(target, keyspace, clock, transport)

    def make() -> Backend:
        options = _embedded_options(target) if scheme == "embedded" else _url_options(target)
        fast = is_fast(take_transport(options, transport), borrowed=False)
        return _redis_backend(options, keyspace, clock, fast=fast)

    return make


def open_sync_backend(target: SyncTarget, *, prefix: str | None = None, clock: Clock | None = None) -> SyncBackend:
    """A backend for threads. A client is only read for its settings, and stays open.

    Raises:
        UsageError: `target` is none of the things a backend can be made of.
    """
    if isinstance(target, str | redis.Redis | redis.asyncio.Redis):
        make = _maker(target, prefix, clock)
        return RedirectableSyncBackend(lambda: make().blocking(), prefix, lazily=_may_wait(target))
    if not hasattr(target, "read_events"):
        raise _refuse(target)
    return _accept(target, prefix)


def _scheme_of(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    if scheme in _LATER_SCHEMES:
        raise UsageError(f"url scheme {scheme + separator!r} is not supported yet; use {_SCHEMES}")
    if not separator or scheme not in (*_REDIS_SCHEMES, *_CLUSTER_SCHEMES, "memory", "embedded"):
        raise UsageError.for_field("url scheme", scheme + separator if separator else "(none)", _SCHEMES)
    return scheme


def _url_options(url: str) -> dict[str, Any]:
    """What a URL says. Where it cannot be read, nobody knows which part is the password: errors quote nothing."""
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port != 0
    except ValueError:
        raise UsageError(
            "url cannot be read: host and port must be as in redis://localhost:6379/0; "
            "escape special characters in the password, as %40 for @ and %2F for /"
        ) from None
    if not port_is_valid:
        raise UsageError.for_field("url port", 0, "from 1 to 65535")
    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not database.isdigit():
        raise UsageError("url path must be a database number, as in redis://localhost:6379/0")
    try:
        return dict(async_connections.parse_url(url))
    except ValueError:
        raise UsageError("url cannot be read: an option after the ? has a value of the wrong type") from None


def _embedded_options(url: str) -> dict[str, Any]:
    from taskora.wire.backends._embedded import join_embedded_server

    return _url_options(join_embedded_server(url))


def _client_options(client: Client) -> dict[str, Any]:
    pool = client.connection_pool
    options = dict(cast("Mapping[str, Any]", pool.connection_kwargs))
    options["connection_class"] = pool.connection_class
    return options


def _redis_backend(options: dict[str, Any], keyspace: Keyspace, clock: Clock | None, *, fast: bool) -> RedisBackend:
    make = connection_factory(options, ASYNC_CLASSES, async_connections.Connection, AsyncRetry(NoBackoff(), 0))
    return RedisBackend(
        make,
        lambda: _sync_redis_backend(options, keyspace, clock),
        keyspace=keyspace,
        clock=clock,
        commands=share_connection(make) if fast else None,
    )


def _sync_redis_backend(options: dict[str, Any], keyspace: Keyspace, clock: Clock | None) -> SyncRedisBackend:
    make = connection_factory(options, SYNC_CLASSES, redis.Connection, Retry(NoBackoff(), 0))
    return SyncRedisBackend(make, keyspace=keyspace, clock=clock)


def _open_cluster(url: str, keyspace: Keyspace, clock: Clock | None, transport: Transport) -> Backend:
    from taskora.wire.backends._open_cluster import open_cluster

    return open_cluster(url, _url_options, keyspace, clock, transport)


def _shared_memory(url: str, prefix: str | None) -> Backend:
    from taskora.wire.backends._memory import shared_memory

    return shared_memory(url, prefix=prefix)


def _accept(backend: B, prefix: str | None) -> B:
    if prefix is not None:
        raise UsageError.for_field("prefix", prefix, "None when a backend is given, since that has its own")
    return backend


def _refuse(target: object) -> UsageError:
    if isinstance(target, RedisCluster | AsyncRedisCluster):
        return UsageError("a cluster client cannot be read for its settings: give the URL, redis+cluster://host:port")
    # Not the value: it may be a URL of another type, password and all.
    return UsageError.for_field("url", type(target), f"a URL ({_SCHEMES}), a redis-py client, or a backend")
