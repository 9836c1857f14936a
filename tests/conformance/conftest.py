"""The backends that the suite runs over."""

from collections.abc import AsyncIterator

import pytest

from taskora.wire import Keyspace
from taskora.wire.backends import MemoryBackend, open_backend
from tests.conformance.clock import VirtualClock
from tests.conformance.subject import Subject
from tests.conformance.tricks import MemoryTricks, RedisTricks
from tests.fixtures import StartServer

VARIANTS = ("memory", "memory-sync", "valkey9", "valkey9-sync", "redis7")


@pytest.fixture(params=VARIANTS)
async def subject(request: pytest.FixtureRequest, start_server: StartServer) -> AsyncIterator[Subject]:
    """Run the test over every backend, and over their views for threads."""
    kind, _, view = request.param.partition("-")
    opened = _memory() if kind == "memory" else _redis(kind, start_server)
    async for subject in opened:
        sync = subject.backend.blocking() if view else None
        yield Subject(backend=subject.backend, sync=sync, clock=subject.clock, tricks=subject.tricks)
        if sync:
            sync.close()


@pytest.fixture(params=[variant for variant in VARIANTS if not variant.endswith("-sync")])
async def async_subject(request: pytest.FixtureRequest, start_server: StartServer) -> AsyncIterator[Subject]:
    """Run the test over every backend, for what only asyncio offers."""
    opened = _memory() if request.param == "memory" else _redis(request.param, start_server)
    async for subject in opened:
        yield subject


async def _memory() -> AsyncIterator[Subject]:
    clock = VirtualClock()
    backend = MemoryBackend(clock=clock)
    yield Subject(backend=backend, sync=None, clock=clock, tricks=MemoryTricks(backend))
    await backend.close()


async def _redis(kind: str, start_server: StartServer) -> AsyncIterator[Subject]:
    server = start_server(kind)
    clock = VirtualClock()
    with server.client() as client:
        client.flushall()
        backend = open_backend(server.url, clock=clock)
        yield Subject(backend=backend, sync=None, clock=clock, tricks=RedisTricks(client, Keyspace()))
        await backend.close()
