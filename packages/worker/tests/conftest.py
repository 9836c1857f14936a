"""Fixtures of the worker's tests."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator

import pytest

from taskora.producer import AsyncProducer
from tests.fixtures import StartServer
from tests.polling import aeventually
from tests.servers import SERVER_KINDS, Server

Url = str


@pytest.fixture(params=["memory", *SERVER_KINDS])
def url(request: pytest.FixtureRequest, start_server: StartServer) -> Url:
    """Run the test once per kind of storage, on an empty one."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}"
    return _empty(start_server(request.param)).url


@pytest.fixture
def memory() -> Url:
    """A storage for tests in which it plays no part."""
    return f"memory://{uuid.uuid4().hex}"


@pytest.fixture
async def outside(url: Url) -> AsyncIterator[AsyncProducer]:
    """A producer that outlasts workers, on the storage of the test."""
    async with AsyncProducer(url) as producer:
        yield producer


@pytest.fixture
def one_server(start_server: StartServer) -> Server:
    """A server for tests in which its kind plays no part."""
    return _empty(start_server("valkey9"))


def _empty(server: Server) -> Server:
    with server.client() as client:
        client.flushall()
    return server


@pytest.fixture(autouse=True)
async def nothing_is_left(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Closed workers leave no task of the event loop and no thread."""
    if request.module.__name__.endswith("test_processes"):
        yield  # starts threads that outlive a test on purpose
        return
    threads = set(threading.enumerate())
    tasks = asyncio.all_tasks()
    yield
    await aeventually(lambda: _names(asyncio.all_tasks() - tasks - {asyncio.current_task()}) == [])
    await aeventually(lambda: _names(set(threading.enumerate()) - threads) == [])


def _names(left: set[asyncio.Task[object]] | set[threading.Thread]) -> list[str]:
    names = [item.name if isinstance(item, threading.Thread) else repr(item) for item in left]
    return [name for name in names if not name.startswith("asyncio_")]  # the loop's own threads end with it
