"""What a producer can be made of, and what it says when that does not work."""

import os
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from packages.producer.tests.playing import Order, Storage, Surface, orders
from taskora.contracts import BackendError, UsageError, WireVersionError
from taskora.producer import AsyncProducer, Producer
from taskora.wire.backends import MemoryBackend, open_backend, open_sync_backend
from tests import servers
from tests.fixtures import StartServer


def dispatches(surface: Surface, target: Any, **options: Any) -> bool:
    with surface.producer(target, **options) as producer:
        return bool(surface.do(producer.register(orders).dispatch(Order("a"))).enqueued)


def test_urls(surface: Surface, storage: Storage) -> None:
    assert dispatches(surface, storage.url)
    if storage.server is not None:
        assert dispatches(surface, storage.server.unix_url)


def test_a_synchronous_client_is_used_and_stays_open(surface: Surface, redis_storage: Storage) -> None:
    with redis.Redis.from_url(redis_storage.url, decode_responses=True) as client:
        assert dispatches(surface, client)
        assert client.ping()


def test_an_asyncio_client_is_used_and_stays_open(surface: Surface, redis_storage: Storage) -> None:
    client = redis.asyncio.Redis.from_url(redis_storage.url)
    assert dispatches(surface, client)
    if surface.name == "async":
        assert surface.do(client.ping())
        surface.do(client.aclose())


def test_a_backend_is_used_and_stays_open(surface: Surface, storage: Storage) -> None:
    backend: Any = open_sync_backend(storage.url) if surface.name == "sync" else open_backend(storage.url)
    assert dispatches(surface, backend)
    assert dispatches(surface, backend)
    surface.do(backend.close())


def test_a_memory_backend_is_shared_by_both_surfaces() -> None:
    backend = MemoryBackend()
    with Producer(backend.blocking()) as producer:
        producer.register(orders).dispatch(Order("a"), job_id="x")
        assert producer.inspector.find("x") is not None


@pytest.mark.parametrize("target", [None, 6379, object(), "localhost:6379", "http://localhost", "", b"redis://x"])
def test_what_is_no_target_is_refused(surface: Surface, target: Any) -> None:
    with pytest.raises(UsageError, match="url"):
        surface.make(target)


def test_the_backend_of_the_other_surface_is_refused(surface: Surface) -> None:
    memory = MemoryBackend()
    other: Any = memory if surface.name == "sync" else memory.blocking()
    with pytest.raises(UsageError, match="url must be"):
        surface.make(other)


def test_a_prefix_beside_a_backend_is_refused(surface: Surface) -> None:
    memory = MemoryBackend()
    target: Any = memory.blocking() if surface.name == "sync" else memory
    with pytest.raises(UsageError, match="prefix must be None when a backend is given"):
        surface.make(target, prefix="shop")


@pytest.mark.parametrize("operation", ["dispatch", "many", "state", "result", "stats"])
def test_a_server_that_is_down_is_named_with_a_remedy_and_without_the_password(
    surface: Surface, operation: str
) -> None:
    with surface.producer("redis://user:s3cret@127.0.0.1:1/0") as producer:
        task = producer.register(orders)
        calls: dict[str, Any] = {
            "dispatch": lambda: task.dispatch(Order("a")),
            "many": lambda: task.dispatch_many([Order("a")]),
            "state": lambda: task.job("x").state(),
            "result": lambda: task.job("x").result(),
            "stats": producer.inspector.stats,
        }
        with pytest.raises(BackendError, match=r"cannot be reached.*check that it runs") as caught:
            surface.do(calls[operation]())
        assert "s3cret" not in str(caught.value)


@pytest.fixture(scope="module")
def locked(start_server: StartServer) -> Any:
    start_server("valkey9")  # skips where there is none
    with servers.running("valkey9") as server:
        with server.client() as raw:
            raw.config_set("requirepass", "right")
        yield server


@pytest.mark.parametrize("credentials", ["", ":wr0ng@"])
def test_refused_credentials_are_said_to_be_so(surface: Surface, locked: Any, credentials: str) -> None:
    with surface.producer(f"redis://{credentials}127.0.0.1:{locked.port}") as producer:
        with pytest.raises(BackendError, match=r"refused the credentials.*check user name and password") as caught:
            surface.do(producer.register(orders).dispatch(Order("a")))
        assert "wr0ng" not in str(caught.value)


def test_right_credentials_are_accepted(surface: Surface, locked: Any) -> None:
    assert dispatches(surface, f"redis://:right@127.0.0.1:{locked.port}")


def test_a_full_server_is_said_to_be_so(surface: Surface, redis_storage: Storage) -> None:
    with redis_storage.raw() as raw, surface.producer(redis_storage.url) as producer:
        task = producer.register(orders)
        surface.do(task.dispatch(Order("a")))
        raw.config_set("maxmemory", "1kb")
        try:
            with pytest.raises(BackendError, match=r"out of memory.*nothing was written"):
                surface.do(task.dispatch(Order("a")))
        finally:
            raw.config_set("maxmemory", "0")
        assert surface.do(task.dispatch(Order("a"))).enqueued


def test_a_keyspace_of_another_version_is_refused(surface: Surface, redis_storage: Storage) -> None:
    with redis_storage.raw() as raw:
        raw.hset("taskora:meta", mapping={"wireVersion": 99, "minCompat": 99, "writtenBy": "x", "writtenAt": 1})
    with surface.producer(redis_storage.url) as producer:
        for _ in range(2):
            with pytest.raises(WireVersionError, match="theirs_too_new"):
                surface.do(producer.register(orders).dispatch(Order("a")))
    assert redis_storage.keys() == set()


def test_closing_twice_is_the_same_as_once(surface: Surface, storage: Storage) -> None:
    producer = surface.make(storage.url)
    surface.do(producer.register(orders).dispatch(Order("a")))
    surface.do(producer.close())
    surface.do(producer.close())
    unused = surface.make(storage.url)
    surface.do(unused.close())


@pytest.mark.parametrize("borrowed", [False, True])
def test_a_closed_producer_says_that_it_is_closed(surface: Surface, storage: Storage, borrowed: bool) -> None:
    backend: Any = open_sync_backend(storage.url) if surface.name == "sync" else open_backend(storage.url)
    producer = surface.make(backend if borrowed else storage.url)
    task = producer.register(orders)
    handle = surface.do(task.dispatch(Order("a")))
    surface.do(producer.close())
    calls: list[Any] = [
        lambda: task.dispatch(Order("a")),
        lambda: task.dispatch_many([Order("a")]),
        lambda: task.dispatch_many([]),
        handle.result,
        lambda: handle.result(timeout=0),
        handle.state,
        handle.progress,
        handle.logs,
        handle.cancel,
        producer.inspector.stats,
        lambda: producer.inspector.find("x"),
        producer.dead_letters.retry_all,
        lambda: producer.events(orders).open(),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="this producer is closed"):
            surface.do(call())
    surface.do(backend.close())


def test_nothing_is_left_open(surface: Surface, redis_storage: Storage, redis_player: Any) -> None:
    descriptors = Path(f"/proc/{os.getpid()}/fd")
    if not descriptors.exists():
        pytest.skip("this machine has no /proc")
    for _ in range(3):
        assert dispatches(surface, redis_storage.url)
    before = len(list(descriptors.iterdir()))
    for _ in range(20):
        with surface.producer(redis_storage.url) as producer:
            handle = surface.do(producer.register(orders).dispatch(Order("a")))
            surface.do(handle.cancel())
            with pytest.raises(Exception, match="cancelled"):
                surface.do(handle.result(timeout="1s"))
    assert len(list(descriptors.iterdir())) <= before + 1


async def test_a_backlog_of_commands_keeps_to_a_bounded_number_of_connections(redis_storage: Storage) -> None:
    import asyncio

    async with AsyncProducer(redis_storage.url) as producer:
        handles = await producer.register(orders).dispatch_many([Order("a")] * 200)
        await asyncio.gather(*(handle.state() for handle in handles))
        with redis_storage.raw() as raw:
            clients: Any = raw.client_list()
            assert len(clients) <= 17
