import asyncio
import functools
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from packages.worker.tests.workbench import Meddler, anything, double, find
from taskora.contracts import BackendError, JobState
from taskora.producer import AsyncProducer, JobHandle, Producer
from taskora.wire import Exchange, Keyspace, Operation
from taskora.wire.backends import open_backend
from taskora.worker import Context, Worker
from tests.polling import aeventually, eventually
from tests.servers import Server

ROOT = Path(__file__).resolve().parents[3]
FOR_EVER = 3600.0


async def test_closing_waits_for_the_handlers_that_run(url: str, outside: AsyncProducer) -> None:
    worker = Worker(url)
    entered, go_on = asyncio.Event(), asyncio.Event()

    @worker.implement(double)
    async def handle(data: int, ctx: Context) -> int:
        entered.set()
        await go_on.wait()
        assert not ctx.cancelled.is_set()
        return data * 2

    await worker.start()
    job = await worker.register(double).dispatch(2)
    await entered.wait()
    closing = asyncio.create_task(worker.close(timeout=None))
    waiting = await outside.register(double).dispatch(3)
    go_on.set()
    await closing
    assert (await find(outside, job.id)).state is JobState.COMPLETED
    assert (await find(outside, waiting.id)).state is JobState.WAITING


@pytest.mark.parametrize("kind", ["async", "raises", "thread"])
async def test_what_does_not_end_in_time_is_stopped_and_goes_back_without_having_spent_an_attempt(
    url: str, outside: AsyncProducer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(url)
    entered: list[int] = []
    reasons: list[str | None] = []

    async def in_loop(data: int, ctx: Context) -> int:
        entered.append(data)
        try:
            await asyncio.sleep(FOR_EVER)
        except asyncio.CancelledError:
            reasons.append(ctx.cancelled.reason)
            if kind == "raises":
                raise RuntimeError("This operation was aborted") from None
            raise
        return data

    def in_thread(data: int, ctx: Context) -> int:
        entered.append(data)
        ctx.cancelled.wait(30)
        reasons.append(ctx.cancelled.reason)
        ctx.raise_if_cancelled()
        return data

    if kind == "thread":
        worker.implement(double, in_thread, concurrency=3)
    else:
        worker.implement(double, in_loop, concurrency=3)
    await worker.start()
    jobs = await worker.register(double).dispatch_many(range(5))
    await aeventually(lambda: len(entered) == 3)
    await worker.close(timeout="50ms")
    assert reasons == ["shutdown"] * 3
    infos = [await find(outside, job.id) for job in jobs]
    assert {(info.state, info.attempt, info.error, info.stalled_count) for info in infos} == {
        (JobState.WAITING, 1, None, 0)
    }
    assert_nothing_is_held(url, 5)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_closing_ends_although_a_handler_ignores_its_signal(
    url: str, outside: AsyncProducer, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(url)
    entered, release, told = asyncio.Event(), asyncio.Event(), list[str | None]()

    @worker.implement(anything)
    async def handle(data: object, ctx: Context) -> None:
        entered.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                told.append(ctx.cancelled.reason)

    await worker.start()
    job = await worker.register(anything).dispatch(1)
    await entered.wait()
    async with asyncio.timeout(10):
        await worker.close(timeout="150ms")
    assert told[0] == "shutdown"
    info = await find(outside, job.id)
    assert (info.state, info.attempt) == (JobState.WAITING, 1)
    release.set()
    assert "attempt_left_behind" in caplog.messages


async def test_closing_ends_although_a_thread_ignores_its_signal(url: str, outside: AsyncProducer) -> None:
    worker = Worker(url)
    entered, release = threading.Event(), threading.Event()

    @worker.implement(anything)
    def handle(data: object) -> None:
        entered.set()
        release.wait(30)

    await worker.start()
    job = await worker.register(anything).dispatch(1)
    await aeventually(entered.is_set)
    async with asyncio.timeout(10):
        await worker.close(timeout=0)
    info = await find(outside, job.id)
    assert (info.state, info.attempt) == (JobState.WAITING, 1)
    release.set()


async def test_a_busy_worker_that_closes_leaves_nothing_behind(url: str, outside: AsyncProducer) -> None:
    done: list[int] = []
    worker = Worker(url)

    @worker.implement(double, concurrency=20)
    async def handle(data: int) -> int:
        await asyncio.sleep(0)
        done.append(data)
        return data

    total = 0
    for _ in range(3):
        await outside.register(double).dispatch_many(range(1000))
        total += 1000
        reached = len(done) + 100
        await worker.start()
        await aeventually(functools.partial(reaches, done, reached))
        await worker.close(timeout=None)
        stats = (await outside.inspector.stats(double))["double"]
        assert (stats.active, stats.completed, stats.waiting) == (0, len(done), total - len(done))
        assert_nothing_is_held(url, stats.waiting)
        worker = Worker(url)
        worker.implement(double, handle, concurrency=20)
    await worker.close()


async def test_what_was_claimed_while_the_worker_was_told_to_stop_goes_back(memory: str) -> None:
    held, claimed = asyncio.Event(), asyncio.Event()

    class Slow(Meddler):
        async def run(self, operation: Operation[Any]) -> Any:
            reply = await super().run(operation)
            if isinstance(operation, Exchange) and operation.slots and reply.claims:
                claimed.set()
                await held.wait()
            return reply

    backend = Slow(open_backend(memory))
    worker = Worker(backend)
    ran: list[int] = []

    @worker.implement(double, concurrency=5)
    async def handle(data: int) -> int:
        ran.append(data)
        return data

    await worker.register(double).dispatch_many(range(5))
    await worker.start()
    await claimed.wait()
    closing = asyncio.create_task(worker.close())
    await aeventually(lambda: worker._runtime is not None and worker._runtime._lanes["double"]._stopping)
    held.set()
    await closing
    async with AsyncProducer(memory) as producer:
        stats = (await producer.inspector.stats(double))["double"]
    assert (ran, stats.waiting, stats.active) == ([], 5, 0)
    await backend.close()


async def test_leases_are_renewed_until_the_last_handler_has_ended(url: str, outside: AsyncProducer) -> None:
    worker = Worker(url, lease="800ms")
    entered, go_on = asyncio.Event(), asyncio.Event()

    @worker.implement(double)
    async def handle(data: int, ctx: Context) -> int:
        entered.set()
        await go_on.wait()
        return data * 2

    await worker.start()
    job = await worker.register(double).dispatch(2)
    await entered.wait()
    closing = asyncio.create_task(worker.close(timeout=None))
    deadline = time.monotonic() + 1.8  # more than twice the lease
    await aeventually(lambda: time.monotonic() > deadline)
    go_on.set()
    await closing
    assert (await find(outside, job.id)).state is JobState.COMPLETED


async def test_a_worker_whose_server_is_gone_closes_all_the_same(
    memory: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskora.worker._lane._LAST_TRIES", 2)
    gone = False

    def refuse(operation: object) -> None:
        if gone:
            raise BackendError("the server is gone")

    backend = Meddler(open_backend(memory), before=refuse)
    worker = Worker(backend)

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data

    await worker.start()
    assert await (await worker.register(double).dispatch(2)).result("5s") == 2
    gone = True
    async with asyncio.timeout(20):
        await worker.close(timeout=None)
    await backend.close()
    assert "lane_gave_up" in caplog.messages


async def test_two_who_close_at_once_wait_for_the_same_end(memory: str) -> None:
    worker = Worker(memory)
    heard: list[str] = []
    worker.on("worker:closing")(lambda event: heard.append(event.name))
    await worker.start()
    await asyncio.gather(worker.close(), worker.close())
    assert heard == ["worker:closing"]


async def test_a_closed_worker_has_no_connections(one_server: Server) -> None:
    with one_server.client(client_name="observer") as observer:
        worker = Worker(one_server.url)
        worker.on("task:completed")(print)

        @worker.implement(double, concurrency=5)
        def handle(data: int, ctx: Context) -> int:
            ctx.progress(1)
            ctx.heartbeat()
            return data

        async with worker:
            jobs = await worker.register(double).dispatch_many(range(20))
            await asyncio.gather(*(job.result("5s") for job in jobs))
            assert len(observer.client_list()) > 3
        await aeventually(lambda: [item["name"] for item in observer.client_list()] == ["observer"])


def reaches(done: list[int], least: int) -> bool:
    return len(done) >= least


def assert_nothing_is_held(url: str, waiting: int) -> None:
    """No id is active and no lease is left."""
    if url.startswith("memory"):
        return
    keys = Keyspace().task("double")
    with redis.Redis.from_url(url) as client:
        assert client.llen(keys.active_key) == 0
        assert client.llen(keys.wait_key) == waiting
        locks: Any = client.keys("*:lock")
        assert locks == []
        if waiting:
            assert client.zscore(keys.marker_key, "0") == 0  # whoever comes next is told at once


PROGRAM = """
import asyncio, sys
from taskora.contracts import define_task
from taskora.worker import Worker

worker = Worker(sys.argv[1])
task = define_task("anything", input=object)

@worker.implement(task, concurrency=3)
async def handle(data, ctx):
    ctx.progress("running")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if data != "stubborn":
                raise

worker.run(grace=sys.argv[2])
"""


@contextmanager
def program(url: str, grace: str) -> "Generator[subprocess.Popen[str]]":
    """A worker in a process of its own."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, url, grace], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def is_running(job: JobHandle[object]) -> bool:
    return job.progress() == "running"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_and_gives_its_jobs_back(one_server: Server, number: signal.Signals) -> None:
    with Producer(one_server.url) as producer, program(one_server.url, "100ms") as process:
        task = producer.register(anything)
        jobs = [task.dispatch("polite"), task.dispatch("stubborn")]
        for job in jobs:
            eventually(functools.partial(is_running, job), deadline=20)
        os.kill(process.pid, number)
        assert process.wait(20) == 0, process.stderr and process.stderr.read()
        infos = [producer.inspector.find(job.id) for job in jobs]
        assert [(info.state, info.attempt) for info in infos if info] == [(JobState.WAITING, 1)] * 2


def test_a_second_signal_ends_the_grace(one_server: Server) -> None:
    with Producer(one_server.url) as producer, program(one_server.url, "1h") as process:
        job = producer.register(anything).dispatch("polite")
        eventually(functools.partial(is_running, job), deadline=20)
        os.kill(process.pid, signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 0
        info = producer.inspector.find(job.id)
        assert info is not None
        assert (info.state, info.attempt) == (JobState.WAITING, 1)


def test_a_worker_that_cannot_reach_its_server_says_so_and_ends() -> None:
    with program("redis://127.0.0.1:1", "1s") as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "BackendError: the server cannot be reached" in errors
