"""From what a user has (a URL, a client, a backend) to a backend."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast

import redis
import redis.asyncio
from redis import RedisCluster
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelPool
from redis.sentinel import SentinelConnectionPool as SyncSentinelPool

from taskora.contracts import UsageError
from taskora.wire._backend import Backend, Clock, SyncBackend
from taskora.wire._keys import Keyspace
from taskora.wire.backends._connection_factory import async_factory, sync_factory
from taskora.wire.backends._redirection import RedirectableBackend, RedirectableSyncBackend, is_redirected
from taskora.wire.backends._redis import RedisBackend
from taskora.wire.backends._redis_sync import SyncRedisBackend
from taskora.wire.backends._transport import Transport, is_fast, share_connection, take_transport
from taskora.wire.backends._url import read_url

B = TypeVar("B")

Client: TypeAlias = redis.Redis | redis.asyncio.Redis
Target: TypeAlias = str | Client | Backend
SyncTarget: TypeAlias = str | Client | SyncBackend

_REDIS_SCHEMES: Final = ("redis", "rediss", "unix")
_CLUSTER_SCHEMES: Final = ("redis+cluster", "rediss+cluster")
_SENTINEL_SCHEMES: Final = ("redis+sentinel", "rediss+sentinel")
_KNOWN_SCHEMES: Final = (*_REDIS_SCHEMES, *_CLUSTER_SCHEMES, *_SENTINEL_SCHEMES, "memory", "embedded")
_SCHEMES: Final = "redis://, rediss://, unix://, redis+sentinel://, redis+cluster://, memory:// or embedded://"


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
        options = _options_of(target, scheme)
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
    if not separator or scheme not in _KNOWN_SCHEMES:
        raise UsageError.for_field("url scheme", scheme + separator if separator else "(none)", _SCHEMES)
    return scheme


def _options_of(url: str, scheme: str) -> dict[str, Any]:
    if scheme in _SENTINEL_SCHEMES:
        return _sentinel_options(url)
    return _embedded_options(url) if scheme == "embedded" else read_url(url)


def _embedded_options(url: str) -> dict[str, Any]:
    from taskora.wire.backends._embedded import join_embedded_server

    return read_url(join_embedded_server(url))


def _sentinel_options(url: str) -> dict[str, Any]:
    from taskora.wire.backends._open_sentinel import options_of_url

    return options_of_url(url)


def _client_options(client: Client) -> dict[str, Any]:
    pool = client.connection_pool
    if isinstance(pool, AsyncSentinelPool | SyncSentinelPool):
        from taskora.wire.backends._open_sentinel import options_of_pool

        options = options_of_pool(pool)
    else:
        options = dict(cast("Mapping[str, Any]", pool.connection_kwargs))
        options["connection_class"] = pool.connection_class
    options.pop("protocol", None)  # of the client's replies; ours are our business
    return options


def _redis_backend(options: dict[str, Any], keyspace: Keyspace, clock: Clock | None, *, fast: bool) -> RedisBackend:
    make = async_factory(options)
    return RedisBackend(
        make,
        lambda: SyncRedisBackend(sync_factory(options), keyspace=keyspace, clock=clock),
        keyspace=keyspace,
        clock=clock,
        commands=share_connection(make) if fast else None,
    )


def _open_cluster(url: str, keyspace: Keyspace, clock: Clock | None, transport: Transport) -> Backend:
    from taskora.wire.backends._open_cluster import open_cluster

    return open_cluster(url, keyspace, clock, transport)


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
