import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import redis

from packages.worker.tests.workbench import Meddler, anything, double
from taskora.contracts import BackendError, JobCancelledError, Retry
from taskora.producer import AsyncProducer
from taskora.wire.backends import open_backend
from taskora.wire.backends._keeper import Keeper
from taskora.worker import Context, Worker
from tests.polling import aeventually, eventually
from tests.servers import Server, find_binary

EXCHANGES = [("Exchange", 1), ("Exchange", 5), ("Enqueue", 2), ("Report", 3)]


@pytest.mark.parametrize(
    ("operation", "times"), EXCHANGES, ids=["1 exchange", "5 exchanges", "2 enqueues", "3 reports"]
)
async def test_a_reply_that_is_lost_neither_loses_nor_doubles_jobs(url: str, operation: str, times: int) -> None:
    backend = Meddler(open_backend(url))
    worker = Worker(backend)
    runs: Counter[int] = Counter()

    @worker.implement(double, concurrency=3, retry=Retry(attempts=2, delay="1ms"))
    async def handle(data: int, ctx: Context) -> int:
        ctx.progress(data)
        if data % 5 == 0 and ctx.attempt == 1:
            raise KeyError("again")
        runs[data] += 1
        return data * 2

    async with AsyncProducer(url) as producer:
        async with worker:
            task = producer.register(double)
            await (await task.dispatch(-1)).result("5s")
            backend.lose_replies[operation] = times
            jobs = await task.dispatch_many(range(30))
            assert await asyncio.gather(*(job.result("20s") for job in jobs)) == [*range(0, 60, 2)]
        stats = (await producer.inspector.stats(double))["double"]
    await backend.close()
    assert runs == Counter(range(-1, 30))
    assert (stats.completed, stats.active, stats.waiting, stats.failed) == (31, 0, 0, 0)


Disturbance = Callable[[redis.Redis], object]


def kill_connections(client: redis.Redis) -> None:
    client.client_kill_filter(_type="normal", skipme=True)
    client.client_kill_filter(_type="pubsub", skipme=True)


def flush_and_kill(client: redis.Redis) -> None:
    client.script_flush()
    kill_connections(client)


DISTURBANCES: dict[str, Disturbance] = {
    "kill": kill_connections,
    "script flush": lambda client: client.script_flush(),
    "both": flush_and_kill,
}


@pytest.mark.parametrize("disturbance", DISTURBANCES.values(), ids=DISTURBANCES)
async def test_a_worker_goes_on_after_its_connections_broke(server: Server, disturbance: Disturbance) -> None:
    worker = Worker(server.url)
    runs: Counter[int] = Counter()
    entered, go_on = asyncio.Event(), asyncio.Event()
    heard: list[int] = []

    @worker.implement(double, concurrency=4)
    async def handle(data: int, ctx: Context) -> int:
        runs[data] += 1
        if data == 0:
            entered.set()
            await go_on.wait()
        return data * 2

    worker.register(double).on("completed")(lambda event: heard.append(event.result or 0))
    with server.client() as client:
        async with worker:
            task = worker.register(double)
            done = await task.dispatch_many(range(1, 20))
            await asyncio.gather(*(job.result("10s") for job in done))
            slow = await task.dispatch(0)
            await entered.wait()
            disturbance(client)
            more = await task.dispatch_many(range(20, 40))
            assert await asyncio.gather(*(job.result("20s") for job in more)) == [*range(40, 80, 2)]
            disturbance(client)
            go_on.set()
            assert await slow.result("20s") == 0
            await aeventually(lambda: sorted(heard) == [*range(0, 80, 2)], deadline=20)
            assert (await worker.producer.inspector.stats(double))["double"].active == 0
    assert runs == Counter(range(40))


async def test_a_busy_lane_of_many_slots_loses_and_doubles_nothing_when_its_connections_break(server: Server) -> None:
    backend = Meddler(open_backend(server.url))
    worker = Worker(backend)
    runs: Counter[int] = Counter()
    total = 3000

    with server.client() as client:

        @worker.implement(double, concurrency=64)
        async def handle(data: int) -> int:
            runs[data] += 1
            if runs.total() % 500 == 0:
                kill_connections(client)
            elif runs.total() % 700 == 0:
                backend.lose_replies["Exchange"] = 2
            return data * 2

        async with AsyncProducer(server.url) as producer:
            task = producer.register(double)
            for start in range(0, total, 1000):
                await task.dispatch_many(range(start, start + 1000))
            async with worker:

                async def is_done() -> bool:
                    with contextlib.suppress(BackendError):
                        return (await producer.inspector.stats(double))["double"].completed == total
                    return False

                await aeventually(is_done, deadline=40)
            stats = (await producer.inspector.stats(double))["double"]
    await backend.close()
    assert runs == Counter(range(total))
    assert (stats.active, stats.failed, stats.waiting) == (0, 0, 0)


async def test_a_cancellation_arrives_after_the_subscription_broke(one_server: Server) -> None:
    worker = Worker(one_server.url, lease="1h")
    entered: asyncio.Queue[str] = asyncio.Queue()

    @worker.implement(anything, concurrency=2)
    async def handle(data: object, ctx: Context) -> None:
        entered.put_nowait(ctx.id)
        await asyncio.sleep(3600)

    with one_server.client() as client:
        async with worker, AsyncProducer(one_server.url) as producer:
            task = producer.register(anything)
            for _ in range(2):
                job = await task.dispatch(1)
                await entered.get()
                client.client_kill_filter(_type="pubsub")
                await job.cancel()
                with pytest.raises(JobCancelledError):
                    await job.result("20s")


async def test_a_worker_outlasts_a_server_that_restarts(tmp_path: Path) -> None:
    """With its data on disk: nothing that was settled runs again, nothing that waited is lost."""
    port = _free_port()
    persistent = ("--appendonly", "yes", "--appendfsync", "always")
    url = f"redis://127.0.0.1:{port}/0"
    runs: Counter[int] = Counter()
    entered, go_on = asyncio.Event(), asyncio.Event()
    worker = Worker(url)

    @worker.implement(double, concurrency=3)
    async def handle(data: int) -> int:
        runs[data] += 1
        if data == 0:
            entered.set()
            await go_on.wait()
        return data * 2

    async with AsyncProducer(url) as producer:
        task = producer.register(double)
        with _server(port, tmp_path, *persistent):
            await worker.start()
            jobs = await task.dispatch_many(range(20))
            await entered.wait()
            await asyncio.gather(*(job.result("10s") for job in jobs[1:]))
            delayed = await task.dispatch(100, delay="1ms")
        go_on.set()
        await aeventually(lambda: worker._runtime is not None and worker._runtime._lanes["double"]._failures > 0)
        with _server(port, tmp_path, *persistent):
            assert await jobs[0].result("20s") == 0
            assert await delayed.result("20s") == 200
            assert await (await task.dispatch(50)).result("20s") == 100
            stats = (await producer.inspector.stats(double))["double"]
            await worker.close()
    assert (stats.active, stats.failed, stats.completed) == (0, 0, 22)
    assert runs == Counter([*range(20), 50, 100])


async def test_a_worker_outlasts_a_server_that_forgets_everything(tmp_path: Path) -> None:
    port = _free_port()
    url = f"redis://127.0.0.1:{port}/0"
    worker = Worker(url, lease="300ms")
    entered, reasons = asyncio.Event(), list[str | None]()

    @worker.implement(double)
    async def handle(data: int, ctx: Context) -> int:
        if data != 0:
            return data * 2
        entered.set()
        try:
            await asyncio.sleep(3600)
        finally:
            reasons.append(ctx.cancelled.reason)
        return data

    async with AsyncProducer(url) as producer:
        task = producer.register(double)
        with _server(port, tmp_path):
            await worker.start()
            await task.dispatch(0)
            await entered.wait()
        with _server(port, tmp_path):
            await aeventually(lambda: reasons == ["lease lost"], deadline=20)
            assert await (await task.dispatch(4)).result("20s") == 8
            await worker.close()


@contextlib.contextmanager
def _server(port: int, directory: Path, *options: str) -> Generator[None]:
    """A server on a port of our choice, so that another one can take its place."""
    command = [find_binary("valkey9"), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory)]
    keeper = Keeper([*command, "--save", "", *options], log=directory / "log", ending="KILL")
    try:
        with redis.Redis(port=port) as client:
            eventually(lambda: _answers(client), deadline=20)
        yield
    finally:
        keeper.end()


def _answers(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
