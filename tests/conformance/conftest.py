"""Storages for cases that are functions: each runs over every storage, and over its view for threads."""

from collections.abc import AsyncIterator

import pytest

from tests.conformance.storages import memory_storage, redis_storage
from tests.conformance.subject import Subject, View, opened
from tests.fixtures import StartServer

VARIANTS = ("memory-asyncio", "memory-threads", "valkey9-asyncio", "valkey9-threads", "redis7-asyncio")


@pytest.fixture(params=VARIANTS)
async def subject(request: pytest.FixtureRequest, start_server: StartServer) -> AsyncIterator[Subject]:
    """Run the test over every storage, and over their views for threads."""
    kind, _, name = request.param.partition("-")
    view: View = name
    opening = memory_storage() if kind == "memory" else redis_storage(start_server(kind))
    async with opening as storage, opened(storage, view) as subject:
        yield subject


@pytest.fixture(params=("memory", "valkey9", "redis7"))
async def async_subject(request: pytest.FixtureRequest, start_server: StartServer) -> AsyncIterator[Subject]:
    """Run the test over every storage, for what only asyncio offers."""
    opening = memory_storage() if request.param == "memory" else redis_storage(start_server(request.param))
    async with opening as storage, opened(storage, "asyncio") as subject:
        yield subject
