"""From what a user has (a URL, a client, a backend) to a backend."""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeGuard, TypeVar, Union, cast

from taskora.contracts import UsageError
from taskora.contracts.records import record
from taskora.wire._backend import Backend, Clock, SyncBackend
from taskora.wire._keys import Keyspace
from taskora.wire.backends._connection import AsyncConnection, SyncConnection
from taskora.wire.backends._connection_factory import async_factory, sync_factory
from taskora.wire.backends._redirection import RedirectableBackend, RedirectableSyncBackend, is_redirected
from taskora.wire.backends._transport import Transport, is_fast, open_lines, take_transport
from taskora.wire.backends._url import read_url

if TYPE_CHECKING:
    import redis
    import redis.asyncio

    from taskora.wire.backends._open_sentinel import Service

B = TypeVar("B")

# A program that has no client of redis-py need not load it.
Client: TypeAlias = Union["redis.Redis", "redis.asyncio.Redis"]
Target: TypeAlias = str | Client | Backend
SyncTarget: TypeAlias = str | Client | SyncBackend

_REDIS_SCHEMES: Final = ("redis", "rediss", "unix")
_CLUSTER_SCHEMES: Final = ("redis+cluster", "rediss+cluster")
_SENTINEL_SCHEMES: Final = ("redis+sentinel", "rediss+sentinel")
_KNOWN_SCHEMES: Final = (*_REDIS_SCHEMES, *_CLUSTER_SCHEMES, *_SENTINEL_SCHEMES, "memory", "embedded")
_SCHEMES: Final = "redis://, rediss://, unix://, redis+sentinel://, redis+cluster://, memory:// or embedded://"


class _Storage(Protocol):
    """What a URL or a client leads to, for both kinds of programs."""

    def backend(self) -> Backend:
        """A backend for asyncio."""
        ...

    def sync_backend(self) -> SyncBackend:
        """A backend for threads."""
        ...


@record
class _Server:
    """A server, or the master of a service. Each kind of program loads its own half."""

    async_factory: Callable[[], Callable[[], AsyncConnection]]
    sync_factory: Callable[[], Callable[[], SyncConnection]]
    keyspace: Keyspace
    clock: Clock | None
    fast: bool

    def backend(self) -> Backend:
        from taskora.wire.backends._redis import RedisBackend

        connections, commands = open_lines(self.async_factory(), fast=self.fast)
        return RedisBackend(
            connections,
            self.sync_backend,
            keyspace=self.keyspace,
            clock=self.clock,
            commands=commands,
            lend=connections.lend,
        )

    def sync_backend(self) -> SyncBackend:
        from taskora.wire.backends._redis_sync import SyncRedisBackend

        return SyncRedisBackend(self.sync_factory(), keyspace=self.keyspace, clock=self.clock)


@record
class _Other:
    """A cluster, or the memory of this process."""

    backend: Callable[[], Backend]

    def sync_backend(self) -> SyncBackend:
        return self.backend().blocking()


def open_backend(
    target: Target, *, prefix: str | None = None, clock: Clock | None = None, transport: Transport = "auto"
) -> Backend:
    """A backend for asyncio. A client is only read for its settings, and stays open.

    `transport` is how commands travel to a server: `fast` shares one connection, `redis-py` has a pool. `auto` leaves
    it to the URL (`?transport=fast`), and where that says nothing it is `fast` for a URL and `redis-py` for a client.

    Raises:
        UsageError: `target` is none of the things a backend can be made of, or there is no such transport.
    """
    if isinstance(target, str) or _is_client(target):
        storage = _find(target, prefix, clock, transport)
        return RedirectableBackend(lambda: storage().backend(), prefix, lazily=_may_wait(target))
    if not hasattr(target, "wait_for_work"):
        raise _refuse(target)
    return _accept(cast("Backend", target), prefix)


def open_sync_backend(target: SyncTarget, *, prefix: str | None = None, clock: Clock | None = None) -> SyncBackend:
    """A backend for threads. A client is only read for its settings, and stays open.

    Raises:
        UsageError: `target` is none of the things a backend can be made of.
    """
    if isinstance(target, str) or _is_client(target):
        storage = _find(target, prefix, clock, "auto")
        return RedirectableSyncBackend(lambda: storage().sync_backend(), prefix, lazily=_may_wait(target))
    if not hasattr(target, "read_events"):
        raise _refuse(target)
    return _accept(cast("SyncBackend", target), prefix)


def _may_wait(target: "str | Client") -> bool:
    """Whether to begin only when it is needed: no server is started for a program that is sent elsewhere."""
    return isinstance(target, str) and _scheme_of(target) == "embedded" and is_redirected()


def _find(
    target: "str | Client", prefix: str | None, clock: Clock | None, transport: Transport
) -> Callable[[], _Storage]:
    keyspace = Keyspace(prefix)
    if not isinstance(target, str):
        fast = is_fast(take_transport({}, transport), borrowed=True)
        return lambda: _of_client(target, keyspace, clock, fast=fast)
    scheme = _scheme_of(target)
    if scheme == "memory":
        if take_transport({}, transport) != "auto":
            raise UsageError(f'transport "{transport}" leads to a server: memory:// has none, leave the option out')
        return lambda: _Other(backend=lambda: _shared_memory(target, prefix))
    if scheme in _CLUSTER_SCHEMES:
        return lambda: _Other(backend=lambda: _open_cluster(target, keyspace, clock, transport))
    return lambda: _of_url(target, scheme, keyspace, clock, transport)


def _scheme_of(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in _KNOWN_SCHEMES:
        raise UsageError.for_field("url scheme", scheme + separator if separator else "(none)", _SCHEMES)
    return scheme


def _of_url(url: str, scheme: str, keyspace: Keyspace, clock: Clock | None, transport: Transport) -> _Server:
    if scheme in _SENTINEL_SCHEMES:
        from taskora.wire.backends._open_sentinel import service_of_url

        service = service_of_url(url)
        redis_py = not is_fast(take_transport(service.options, transport), borrowed=False)
        return _of_service(service, keyspace, clock, redis_py=redis_py, fast=not redis_py)
    options = read_url(_join_embedded(url) if scheme == "embedded" else url)
    redis_py = not is_fast(take_transport(options, transport), borrowed=False)
    return _of_options(options, keyspace, clock, redis_py=redis_py, fast=not redis_py)


def _join_embedded(url: str) -> str:
    from taskora.wire.backends._embedded import join_embedded_server

    return join_embedded_server(url)


def _is_client(target: object) -> "TypeGuard[Client]":
    """Whether it is a client of redis-py. Nobody has one who has not imported that."""
    if "redis" not in sys.modules:
        return False
    import redis
    import redis.asyncio

    return isinstance(target, redis.Redis | redis.asyncio.Redis)


def _of_client(client: "Client", keyspace: Keyspace, clock: Clock | None, *, fast: bool) -> _Server:
    from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelPool
    from redis.sentinel import SentinelConnectionPool as SyncSentinelPool

    pool = client.connection_pool
    if isinstance(pool, AsyncSentinelPool | SyncSentinelPool):
        from taskora.wire.backends._open_sentinel import service_of_pool

        return _of_service(service_of_pool(pool), keyspace, clock, redis_py=True, fast=fast)
    options = dict(cast("Mapping[str, Any]", pool.connection_kwargs))
    options["connection_class"] = pool.connection_class
    options.pop("protocol", None)  # of the client's replies; ours are our business
    return _of_options(options, keyspace, clock, redis_py=True, fast=fast)


def _of_options(
    options: dict[str, Any], keyspace: Keyspace, clock: Clock | None, *, redis_py: bool, fast: bool
) -> _Server:
    return _Server(
        async_factory=lambda: async_factory(options, redis_py=redis_py),
        sync_factory=lambda: sync_factory(options, redis_py=redis_py),
        keyspace=keyspace,
        clock=clock,
        fast=fast,
    )


def _of_service(service: "Service", keyspace: Keyspace, clock: Clock | None, *, redis_py: bool, fast: bool) -> _Server:
    return _Server(
        async_factory=lambda: service.async_factory(redis_py=redis_py),
        sync_factory=lambda: service.sync_factory(redis_py=redis_py),
        keyspace=keyspace,
        clock=clock,
        fast=fast,
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
    if any(kind.__name__ == "RedisCluster" for kind in type(target).__mro__):
        return UsageError("a cluster client cannot be read for its settings: give the URL, redis+cluster://host:port")
    # Not the value: it may be a URL of another type, password and all.
    return UsageError.for_field("url", type(target), f"a URL ({_SCHEMES}), a redis-py client, or a backend")
