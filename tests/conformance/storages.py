"""The storages of this repository, as the suite wants them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import redis

from taskora.testing.conformance import Storage, StorageClock
from taskora.wire import Keyspace
from taskora.wire.backends import MemoryBackend, Transport, open_backend
from tests.conformance.tricks import MemoryTricks, RedisTricks
from tests.servers import Cluster, Server


@asynccontextmanager
async def memory_storage() -> AsyncGenerator[Storage]:
    """Memory, by a clock that is moved."""
    clock = StorageClock()
    backend = MemoryBackend(clock=clock)
    clock.on_move(backend.notify_time)
    yield Storage(backend=backend, clock=clock, tricks=MemoryTricks(backend))
    await backend.close()


@asynccontextmanager
async def redis_storage(server: Server, transport: Transport = "fast") -> AsyncGenerator[Storage]:
    """A server, emptied before."""
    with server.client() as client:
        async with _emptied(server.url, client, transport) as storage:
            yield storage


@asynccontextmanager
async def cluster_storage(cluster: Cluster, client: redis.RedisCluster) -> AsyncGenerator[Storage]:
    """A cluster, emptied before. Its client is shared: it asks for much before its first command."""
    async with _emptied(cluster.url, client, "fast") as storage:
        yield storage


@asynccontextmanager
async def _emptied(url: str, client: redis.Redis | redis.RedisCluster, transport: Transport) -> AsyncGenerator[Storage]:
    clock = StorageClock()
    client.flushall()
    backend = open_backend(url, clock=clock, transport=transport)
    try:
        yield Storage(backend=backend, clock=clock, tricks=RedisTricks(client, Keyspace()))
    finally:
        await backend.close()
