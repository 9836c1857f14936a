"""Backends over each way to a server, and what is seen of them there."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import redis

from taskora.wire import Backend, SyncBackend
from taskora.wire.backends import open_backend, open_sync_backend
from tests.polling import eventually
from tests.servers import Server
from tests.wire.connecting import Others


@pytest.fixture
def others(redis_raw: redis.Redis) -> Others:
    found = Others(redis_raw)
    eventually(lambda: found.all() == [])
    return found


@pytest.fixture
def sync(server: Server) -> Iterator[SyncBackend]:
    with contextlib.closing(open_sync_backend(server.url)) as backend:
        yield backend


@pytest.fixture(params=["fast", "redis-py"])
def transport(request: pytest.FixtureRequest) -> str:
    """Run the test over both ways to a server."""
    transport: str = request.param
    return transport


@pytest.fixture
def url(server: Server, transport: str) -> str:
    return f"{server.url}?transport={transport}"


@pytest.fixture
async def backend(url: str) -> AsyncIterator[Backend]:
    opened = open_backend(url)
    yield opened
    await opened.close()


@pytest.fixture
def pause_writes(redis_raw: redis.Redis) -> Iterator[Callable[[bool], None]]:
    """Lets every script wait at the server until it is told to go on."""
    client: Any = redis_raw

    def switch(on: bool) -> None:
        if on:
            client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        else:
            client.execute_command("CLIENT", "UNPAUSE")

    yield switch
    switch(False)
