"""Every request finds the server of its slot, also where that has changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from redis.crc import key_slot

from taskora.contracts import BackendError, UsageError, define_task
from taskora.producer import AsyncProducer, Producer
from taskora.wire import Backend, CountJobs, Enqueue, NewJob, ReadMigrationLock, ScanTasks, SyncBackend, TaskPage
from taskora.wire.backends import open_backend, open_sync_backend
from taskora.worker import Worker
from tests.fixtures import StartServer
from tests.servers import Cluster

LONG_MS = 30_000
# Names whose slots lie on all three servers.
TASKS = [f"task-{number}" for number in range(12)]


@pytest.fixture
async def backend(cluster: Cluster) -> AsyncIterator[Backend]:
    backend = open_backend(cluster.url)
    yield backend
    await backend.close()


@pytest.fixture
def sync(cluster: Cluster) -> Iterator[SyncBackend]:
    backend = open_sync_backend(cluster.url)
    yield backend
    backend.close()


def enqueue(task: str, *job_ids: str) -> Enqueue:
    jobs = [NewJob(job_id=job_id, data=b"1") for job_id in job_ids]
    return Enqueue(task=task, version=1, max_attempts=1, jobs=jobs)


@dataclass(frozen=True)
class Slot:
    """A slot, the server that holds it, and another one; by raw clients and node ids."""

    number: int
    every: list[Any]
    holder: Any
    other: Any

    def give(self, client: Any) -> None:
        """Says on every server who holds the slot; nothing may be in it.

        Servers believe the claim with the highest epoch: without a new one, word of the old holder that is still under
        way would take the slot from the new one, and each would name the other for ever.
        """
        client.execute_command("CLUSTER", "BUMPEPOCH")
        for each in (client, *(each for each in self.every if each is not client)):
            each.execute_command("CLUSTER", "SETSLOT", self.number, "NODE", _id(client))


def _id(client: Any) -> str:
    found: str = client.execute_command("CLUSTER", "MYID").decode()
    return found


@contextmanager
def slot_of(cluster: Cluster, key: str) -> Generator[Slot]:
    clients: list[Any] = [server.client() for server in cluster.servers]
    number = key_slot(key.encode())
    turn = min(number * 3 // 16_384, 2)
    slot = Slot(number, clients, clients[turn], clients[(turn + 1) % 3])
    try:
        yield slot
    finally:
        for client in clients:
            client.flushall()
        slot.give(slot.holder)
        for client in clients:
            client.close()


def test_names_lie_on_all_servers(cluster: Cluster, sync: SyncBackend) -> None:
    for task in TASKS:
        sync.run(enqueue(task, "a"))
    for server in cluster.servers:
        with server.client() as client:
            sizes: Any = client.keys("*:events")
            assert sizes


async def test_jobs_of_all_servers_are_dispatched_run_and_followed(cluster: Cluster) -> None:
    contracts = [define_task(task, input=int, output=int) for task in TASKS]
    worker = Worker(cluster.url)
    for contract in contracts:
        worker.implement(contract, lambda data: data + 1)
    async with worker, AsyncProducer(cluster.url) as producer:
        handles = [await producer.register(contract).dispatch(7) for contract in contracts]
        assert [await handle.result(timeout="20s") for handle in handles] == [8] * len(contracts)
        assert set(await producer.inspector.stats()) == set(TASKS)


def test_threads_dispatch_and_wait(cluster: Cluster) -> None:
    contract = define_task("threads", input=int, output=int)
    with Producer(cluster.url) as producer:
        handle = producer.register(contract).dispatch(1)
        assert handle.state() == "waiting"
        assert set(producer.inspector.stats()) == {"threads"}


async def test_a_scan_visits_every_server_page_by_page(backend: Backend, sync: SyncBackend) -> None:
    names = {f"many-{number}" for number in range(60)}
    for name in names:
        await backend.run(enqueue(name, "a"))
    pages = [page async for page in pages_of(backend.run)]
    assert {task for page in pages for task in page} == names
    assert len(pages) >= 3

    async def run(operation: ScanTasks) -> TaskPage:
        return await asyncio.to_thread(sync.run, operation)

    pages = [page async for page in pages_of(run)]
    assert {task for page in pages for task in page} == names
    assert len(pages) >= 3


async def pages_of(run: Callable[[ScanTasks], Awaitable[TaskPage]]) -> AsyncIterator[tuple[str, ...]]:
    cursors = ["0"]
    while len(cursors) == len(set(cursors)):  # the last one is "0" again
        page = await run(ScanTasks(cursor=cursors[-1]))
        yield page.tasks
        cursors.append(page.cursor)


async def test_a_slot_that_has_moved_is_followed(cluster: Cluster, backend: Backend, sync: SyncBackend) -> None:
    await backend.run(CountJobs(task="moves"))
    sync.run(CountJobs(task="moves"))
    with slot_of(cluster, "taskora:{moves}:wait") as slot:
        slot.give(slot.other)
        await backend.run(enqueue("moves", "a"))
        sync.run(enqueue("moves", "b"))
        assert (await backend.run(CountJobs(task="moves"))).waiting == 2
        assert slot.other.exists("taskora:{moves}:events") == 1


async def test_a_slot_that_is_moving_is_asked_for(cluster: Cluster, backend: Backend, sync: SyncBackend) -> None:
    key = "taskora:migration:lock"
    assert await backend.run(ReadMigrationLock()) == sync.run(ReadMigrationLock()) == b""
    with slot_of(cluster, key) as slot:
        slot.other.execute_command("CLUSTER", "SETSLOT", slot.number, "IMPORTING", _id(slot.holder))
        slot.holder.execute_command("CLUSTER", "SETSLOT", slot.number, "MIGRATING", _id(slot.other))
        with slot.other.pipeline(transaction=False) as pipeline:
            pipeline.execute_command("ASKING")
            pipeline.set(key, "has arrived")
            pipeline.execute()
        assert await backend.run(ReadMigrationLock()) == sync.run(ReadMigrationLock()) == b"has arrived"


async def test_readers_and_waiters_follow_a_slot_that_moves_while_they_wait(cluster: Cluster, backend: Backend) -> None:
    await backend.run(CountJobs(task="moves"))
    with slot_of(cluster, "taskora:{moves}:wait") as slot:
        feed = backend.open_feed()
        reading = asyncio.create_task(feed.read({"moves": "0-0"}, block_ms=LONG_MS))
        waiting = asyncio.create_task(backend.wait_for_work("moves", timeout_ms=LONG_MS, now_ms=0))
        await asyncio.to_thread(_blocked, slot.holder, 2)
        slot.give(slot.other)
        await backend.run(enqueue("moves", "a"))
        assert [event.job_id for event in await reading] == ["a"]
        await waiting
        await feed.close()


def _blocked(client: Any, count: int) -> None:
    from tests.polling import eventually

    eventually(lambda: client.info("clients")["blocked_clients"] >= count)


async def test_a_feed_reads_a_stream_that_is_on_its_way(cluster: Cluster, backend: Backend, sync: SyncBackend) -> None:
    await backend.run(CountJobs(task="moves"))
    key = "taskora:{moves}:events"
    with slot_of(cluster, key) as slot:
        slot.other.execute_command("CLUSTER", "SETSLOT", slot.number, "IMPORTING", _id(slot.holder))
        slot.holder.execute_command("CLUSTER", "SETSLOT", slot.number, "MIGRATING", _id(slot.other))
        with slot.other.pipeline(transaction=False) as pipeline:
            pipeline.execute_command("ASKING")
            pipeline.xadd(key, {"event": "waiting", "jobId": "a"}, id="5-1")
            pipeline.execute()
        feed = backend.open_feed()
        for _ in range(3):
            events = await feed.read({"moves": "0-0"}, block_ms=LONG_MS)
            assert [(event.name, event.job_id) for event in events] == [("waiting", "a")]
        assert await feed.read({"moves": "5-1"}, block_ms=50) == []
        assert len(await asyncio.to_thread(sync.read_events, {"moves": "0-0"}, block_ms=1)) == 1
        await feed.close()


async def test_one_feed_reads_streams_of_all_servers(backend: Backend) -> None:
    feed = backend.open_feed()
    positions = dict.fromkeys(TASKS, "0-0")
    reading = asyncio.create_task(feed.read(positions, block_ms=LONG_MS))
    await asyncio.sleep(0)
    await backend.run(enqueue(TASKS[5], "a"))
    assert [event.task for event in await reading] == [TASKS[5]]
    for task in TASKS:
        await backend.run(enqueue(task, "b"))
    assert {event.task for event in await feed.read(positions, block_ms=LONG_MS)} == set(TASKS)
    reading = asyncio.create_task(feed.read(dict.fromkeys(TASKS, "$"), block_ms=LONG_MS))
    await asyncio.sleep(0)
    await feed.interrupt()
    assert await reading == []
    await feed.close()


async def test_a_thread_reads_streams_of_all_servers(backend: Backend, sync: SyncBackend) -> None:
    positions = dict.fromkeys(TASKS, "0-0")
    assert sync.read_events(positions, block_ms=1) == []
    reading = asyncio.create_task(asyncio.to_thread(sync.read_events, positions, block_ms=10_000))
    await backend.run(enqueue(TASKS[7], "a"))
    assert [event.task for event in await reading] == [TASKS[7]]


async def test_a_server_that_is_no_cluster_is_told_apart(start_server: StartServer) -> None:
    url = f"redis+cluster://127.0.0.1:{start_server('valkey9').port}"
    backend, sync = open_backend(url), open_sync_backend(url)
    for _ in range(2):
        with pytest.raises(BackendError, match="is no cluster: give its URL"):
            await backend.run(CountJobs(task="x"))
    with pytest.raises(BackendError, match="is no cluster: give its URL"):
        sync.run(CountJobs(task="x"))
    await backend.close()
    sync.close()


async def test_a_cluster_that_is_not_there_is_an_error_in_time() -> None:
    backend = open_backend("redis+cluster://127.0.0.1:1,127.0.0.1:2")
    with pytest.raises(BackendError, match="cannot be reached"):
        await backend.run(CountJobs(task="x"))
    with pytest.raises(BackendError, match="cannot be reached"):
        await backend.wait_for_work("x", timeout_ms=100, now_ms=0)
    feed = backend.open_feed()
    with pytest.raises(BackendError, match="cannot be reached"):
        await feed.read({"x": "0-0"}, block_ms=100)
    await feed.close()
    await backend.close()


async def test_seeds_that_do_not_answer_are_passed_over(cluster: Cluster) -> None:
    backend = open_backend(f"redis+cluster://127.0.0.1:1,127.0.0.1:{cluster.servers[2].port}/0")
    assert (await backend.run(CountJobs(task="x"))).waiting == 0
    await backend.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis+cluster://one:1,two:2/3", "a cluster has only database 0"),
        ("redis+cluster://one:1?db=3", "a cluster has only database 0"),
        ("redis+cluster://", "url names no host"),
        ("redis+cluster://one:0", "url port"),
        ("redis+cluster://one,two:x", "url cannot be read"),
        ("redis+cluster://one?nope=1", "url option must be one of .*, got 'nope'"),
    ],
)
def test_a_url_that_names_no_cluster(url: str, words: str) -> None:
    for opening in (open_backend, open_sync_backend):
        with pytest.raises(UsageError, match=words):
            opening(url)
