"""Fixtures of the producer's tests."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from packages.producer.tests.playing import Player, Storage, Surface, orders
from packages.producer.tests.playing import surface as open_surface
from taskora.wire.backends import open_sync_backend
from tests.fixtures import StartServer
from tests.servers import SERVER_KINDS


@pytest.fixture(params=[*SERVER_KINDS, "memory"])
def storage(request: pytest.FixtureRequest, start_server: StartServer) -> Storage:
    """Run the test once per kind of storage."""
    if request.param == "memory":
        return Storage(f"memory://{uuid.uuid4().hex}", None)
    server = start_server(request.param)
    with server.client() as client:
        client.flushall()
    return Storage(server.url, server)


@pytest.fixture
def redis_storage(start_server: StartServer) -> Iterator[Storage]:
    """A server, where one kind is enough; nothing is left there for tests that do not ask for an empty one."""
    server = start_server("valkey9")
    with server.client() as client:
        client.flushall()
    yield Storage(server.url, server)
    with server.client() as client:
        client.flushall()


@pytest.fixture(params=["sync", "async"])
def surface(request: pytest.FixtureRequest) -> Iterator[Surface]:
    """Run the test once per surface."""
    with open_surface(request.param) as chosen:
        yield chosen


@pytest.fixture
def producer(surface: Surface, storage: Storage) -> Iterator[Any]:
    """A producer of each kind on a storage of each kind."""
    with surface.producer(storage.url) as made:
        yield made


@pytest.fixture
def task(producer: Any) -> Any:
    """The orders task, bound."""
    return producer.register(orders)


@pytest.fixture
def player(storage: Storage) -> Iterator[Player]:
    """Plays the worker on the same storage."""
    backend = open_sync_backend(storage.url)
    yield Player(backend)
    backend.close()


@pytest.fixture
def redis_player(redis_storage: Storage) -> Iterator[Player]:
    """Plays the worker on the same server."""
    backend = open_sync_backend(redis_storage.url)
    yield Player(backend)
    backend.close()
