"""The storages of this repository, as the suite wants them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from taskora.testing.conformance import Storage, VirtualClock
from taskora.wire import Keyspace
from taskora.wire.backends import MemoryBackend, Transport, open_backend
from tests.conformance.tricks import MemoryTricks, RedisTricks
from tests.servers import Server


@asynccontextmanager
async def memory_storage() -> AsyncGenerator[Storage]:
    """Memory, by a clock that is moved."""
    clock = VirtualClock()
    backend = MemoryBackend(clock=clock)
    clock.on_move(backend.notify_time)
    yield Storage(backend=backend, clock=clock, tricks=MemoryTricks(backend))
    await backend.close()


@asynccontextmanager
async def redis_storage(server: Server, transport: Transport = "fast") -> AsyncGenerator[Storage]:
    """A server, emptied before."""
    clock = VirtualClock()
    with server.client() as client:
        client.flushall()
        backend = open_backend(server.url, clock=clock, transport=transport)
        yield Storage(backend=backend, clock=clock, tricks=RedisTricks(client, Keyspace()))
        await backend.close()
