"""A server that goes away and comes back with its data."""

import contextlib
import os
import signal
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import pytest
import redis

from packages.producer.tests.playing import Order, Player, Receipt, orders, wait_until_blocked
from packages.producer.tests.playing import surface as open_surface
from taskora.contracts import JobTimeoutError
from taskora.wire.backends import open_sync_backend
from tests import servers
from tests.fixtures import StartServer
from tests.polling import eventually
from tests.servers import Server


@pytest.fixture
def durable(start_server: StartServer) -> Iterator[Server]:
    start_server("valkey9")  # skips where there is none
    options = ("--appendonly", "yes", "--appendfsync", "always", *servers.for_debugging("valkey9"))
    with servers.running("valkey9", *options) as server:
        yield server


def restart(server: Server) -> None:
    with server.client() as raw, contextlib.suppress(redis.ConnectionError):
        raw.execute_command("DEBUG", "RESTART")

    def is_back() -> bool:
        with contextlib.suppress(redis.ConnectionError), server.client() as raw:
            return bool(raw.ping())
        return False

    eventually(is_back, deadline=20)


@pytest.mark.parametrize("name", ["sync", "async"])
def test_waits_and_events_outlast_a_restart(name: str, durable: Server) -> None:
    opened = threading.Barrier(3)

    def follow() -> list[str]:
        with open_surface(name) as surface, surface.producer(durable.url) as producer:
            events = producer.events(orders)
            surface.do(events.open())
            opened.wait(20)
            return [event.kind for event in surface.take(events, 2)]

    def wait() -> object:
        with open_surface(name) as surface, surface.producer(durable.url) as producer:
            handle = surface.do(producer.register(orders).dispatch(Order("a")))
            opened.wait(20)
            return surface.do(handle.result(timeout="40s"))

    with ThreadPoolExecutor(2) as pool:
        waiting, following = pool.submit(wait), pool.submit(follow)
        opened.wait(20)
        with durable.client() as raw:
            wait_until_blocked(raw, 2)
        restart(durable)
        backend = open_sync_backend(durable.url)
        Player(backend).complete()
        backend.close()
        assert waiting.result(45) == Receipt(7)
        assert following.result(45)[-2:] in (["waiting", "active"], ["active", "completed"])


@contextlib.contextmanager
def frozen(server: Server) -> Generator[None]:
    with server.client() as raw:
        about: Any = raw.info("server")
    os.kill(about["process_id"], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(about["process_id"], signal.SIGCONT)


@pytest.mark.parametrize("name", ["sync", "async"])
def test_a_wait_ends_in_time_when_the_server_does_not_answer(durable: Server, name: str) -> None:
    with open_surface(name) as surface, surface.producer(durable.url) as producer:
        handle = surface.do(producer.register(orders).dispatch(Order("a")))
        with frozen(durable):
            begin = monotonic()
            with pytest.raises(JobTimeoutError) as caught:
                surface.do(handle.result(timeout="200ms"))
            assert monotonic() - begin < 5
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert surface.do(handle.state()) == "waiting"
