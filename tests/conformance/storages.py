"""The storages of this repository, as the suite wants them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import redis

from taskora.testing.conformance import Storage, StorageClock
from taskora.wire import Keyspace
from taskora.wire.backends import MemoryBackend, open_backend
from tests.conformance.tricks import MemoryTricks, RedisTricks
from tests.servers import Server


@asynccontextmanager
async def memory_storage() -> AsyncGenerator[Storage]:
    """Memory, by a clock that is moved."""
    clock = StorageClock()
    backend = MemoryBackend(clock=clock)
    clock.on_move(backend.notify_time)
    yield Storage(backend=backend, clock=clock, tricks=MemoryTricks(backend))
    await backend.close()


@asynccontextmanager
async def redis_storage(server: Server, options: str = "") -> AsyncGenerator[Storage]:
    """A server, emptied before and afterwards."""
    with server.client() as client:
        async with storage_at(server.url + options, client) as storage:
            yield storage


@asynccontextmanager
async def storage_at(url: str, client: redis.Redis | redis.RedisCluster) -> AsyncGenerator[Storage]:
    """What a URL leads to, emptied by a raw client: before, and afterwards for tests that do not ask for that."""
    clock = StorageClock()
    client.flushall()
    backend = open_backend(url, clock=clock)
    try:
        yield Storage(backend=backend, clock=clock, tricks=RedisTricks(client, Keyspace()))
    finally:
        await backend.close()
        client.flushall()
