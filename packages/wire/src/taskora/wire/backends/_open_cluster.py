"""From a `redis+cluster://` URL to a backend."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from redis.asyncio import connection as async_connections
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskora.contracts import UsageError
from taskora.wire._backend import Backend, Clock
from taskora.wire._keys import Keyspace
from taskora.wire.backends._async_cluster import AsyncCluster, RedisClusterBackend
from taskora.wire.backends._connection_factory import ASYNC_CLASSES, SYNC_CLASSES, connection_factory
from taskora.wire.backends._slots import Address, SlotMap
from taskora.wire.backends._sync_cluster import SyncCluster, SyncRedisClusterBackend
from taskora.wire.backends._transport import Transport, is_fast, share_connection, take_transport

_DEFAULT_PORT: Final = 6379
_MARK: Final = "+cluster"


def open_cluster(
    url: str,
    read_url: Callable[[str], dict[str, Any]],
    keyspace: Keyspace,
    clock: Clock | None,
    transport: Transport,
) -> Backend:
    """A backend of the cluster that some servers of it tell about.

    Raises:
        UsageError: the URL cannot be read, or names a database.
    """
    options, seeds = _options_and_seeds(url, read_url)
    fast = is_fast(take_transport(options, transport), borrowed=False)

    def make_for(address: Address) -> Callable[[], Any]:
        retry = AsyncRetry(NoBackoff(), 0)
        return connection_factory(_at(options, address), ASYNC_CLASSES, async_connections.Connection, retry)

    def make_sync_for(address: Address) -> Callable[[], Any]:
        return connection_factory(_at(options, address), SYNC_CLASSES, redis.Connection, Retry(NoBackoff(), 0))

    make_for(seeds[0])  # refuses options that no connection takes
    return RedisClusterBackend(
        AsyncCluster(SlotMap(seeds), make_for, share_connection if fast else None),
        lambda: SyncRedisClusterBackend(SyncCluster(SlotMap(seeds), make_sync_for), keyspace=keyspace, clock=clock),
        keyspace=keyspace,
        clock=clock,
    )


def _options_and_seeds(url: str, read_url: Callable[[str], dict[str, Any]]) -> tuple[dict[str, Any], list[Address]]:
    scheme, _, rest = url.partition("://")
    netloc, slash, path = rest.partition("/")
    credentials, at, hosts = netloc.rpartition("@")
    hosts, mark, query = hosts.partition("?")
    plain = scheme.removesuffix(_MARK)
    seeds: list[Address] = []
    options: dict[str, Any] = {}
    for host in hosts.split(","):
        one = f"{plain}://{credentials}{at}{host}{mark}{query}{slash}{path}"
        options = read_url(one)
        parts = urlsplit(one)
        if not parts.hostname:
            raise UsageError("url names no host: a cluster is named as in redis+cluster://one:6379,two:6379")
        seeds.append(Address(parts.hostname, parts.port or _DEFAULT_PORT))
    if options.pop("db", 0):
        raise UsageError("url names a database: a cluster has only database 0")
    return options, seeds


def _at(options: dict[str, Any], address: Address) -> dict[str, Any]:
    return options | {"host": address.host, "port": address.port}
