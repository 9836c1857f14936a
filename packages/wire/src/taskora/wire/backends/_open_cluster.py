"""From a `redis+cluster://` URL to a backend."""

from collections.abc import Callable
from typing import Any, Final

from taskora.contracts import UsageError
from taskora.wire._backend import Backend, Clock
from taskora.wire._keys import Keyspace
from taskora.wire.backends._address import Address
from taskora.wire.backends._async_cluster import AsyncCluster, RedisClusterBackend
from taskora.wire.backends._cluster_map import SlotMap
from taskora.wire.backends._connection_factory import async_factory, sync_factory
from taskora.wire.backends._sync_cluster import SyncCluster, SyncRedisClusterBackend
from taskora.wire.backends._transport import Transport, is_fast, take_transport
from taskora.wire.backends._url import read_hosts

_DEFAULT_PORT: Final = 6379


def open_cluster(url: str, keyspace: Keyspace, clock: Clock | None, transport: Transport) -> Backend:
    """A backend of the cluster that some servers of it tell about.

    Raises:
        UsageError: the URL cannot be read, or names a database.
    """
    options, seeds = _options_and_seeds(url)
    fast = is_fast(take_transport(options, transport), borrowed=False)

    def make_for(address: Address) -> Callable[[], Any]:
        return async_factory(_at(options, address), redis_py=not fast)

    def make_sync_for(address: Address) -> Callable[[], Any]:
        return sync_factory(_at(options, address), redis_py=not fast)

    make_for(seeds[0])  # refuses options that no connection takes
    return RedisClusterBackend(
        AsyncCluster(SlotMap(seeds), make_for, fast=fast),
        lambda: SyncRedisClusterBackend(SyncCluster(SlotMap(seeds), make_sync_for), keyspace=keyspace, clock=clock),
        keyspace=keyspace,
        clock=clock,
    )


def _options_and_seeds(url: str) -> tuple[dict[str, Any], list[Address]]:
    options, seeds = read_hosts(url, port=_DEFAULT_PORT, example="redis+cluster://one:6379,two:6379")
    if options.pop("db", 0):
        raise UsageError("url names a database: a cluster has only database 0")
    return options, seeds


def _at(options: dict[str, Any], address: Address) -> dict[str, Any]:
    return options | {"host": address.host, "port": address.port}
