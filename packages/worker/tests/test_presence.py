"""Workers are known while they are there, and what nobody works on is shown."""

import asyncio
import os
import socket
import time

import pytest

from packages.worker.tests.workbench import double
from taskora.contracts import BackendError, define_task
from taskora.producer import AsyncProducer, ParkedReason
from taskora.wire import AnnounceWorker, Operation, ReadWorkers
from taskora.wire.backends import open_backend
from taskora.worker import Worker
from taskora.worker._presence import Presence
from tests.polling import aeventually


async def answer(data: int) -> int:
    return data * 2


async def test_a_worker_is_there_while_it_runs_and_says_what_it_is(url: str, outside: AsyncProducer) -> None:
    other = define_task("other", input=int, version=3)
    worker = Worker(url)
    worker.implement(double, answer, concurrency=4)
    worker.implement(other, answer)
    backend = open_backend(url)
    before_ms = int(time.time() * 1000)
    async with worker:
        (record,) = await backend.run(ReadWorkers(task="double"))
        assert (record.host, record.pid, record.concurrency, record.version) == (
            socket.gethostname(),
            os.getpid(),
            4,
            1,
        )
        assert before_ms <= record.started_ms
        assert record.beat_ms > 0
        (same,) = await backend.run(ReadWorkers(task="other"))
        assert (same.worker_id, same.version, same.concurrency) == (record.worker_id, 3, 1)
        assert (await outside.inspector.stats(double))["double"].workers == 1
    assert await backend.run(ReadWorkers(task="double")) == ()
    assert await backend.run(ReadWorkers(task="other")) == ()
    await backend.close()


async def test_what_nobody_implements_is_left_alone_and_shown(url: str, outside: AsyncProducer) -> None:
    nobodys = define_task("nobodys", input=int)
    worker = Worker(url)
    worker.implement(double, answer)
    async with worker:
        handle = await outside.register(nobodys).dispatch(1)
        assert await (await outside.register(double).dispatch(1)).result("5s") == 2
        stats = await outside.inspector.stats()
        assert stats["nobodys"].parked_reasons == {ParkedReason.UNSERVED: 1}
        assert (stats["nobodys"].waiting, stats["nobodys"].workers, stats["nobodys"].failed) == (1, 0, 0)
        assert stats["double"].parked_reasons == {}
        info = await outside.inspector.find(nobodys, handle.id)
        assert info is not None
        assert info.parked_reason == "unserved"
        assert [waiting.parked_reason for waiting in await outside.inspector.waiting(nobodys)] == ["unserved"]
    late = Worker(url)
    late.implement(nobodys, answer)
    async with late:
        assert await handle.result("5s") == 2


async def test_presence_is_said_again_as_long_as_the_worker_lives() -> None:
    worker = Worker("memory://")
    worker.implement(double, answer)
    backend = open_backend("memory://")
    presence = Presence(backend, worker.implementations.values())
    assert presence.interval * 3 <= 30
    await presence.arrive()
    (first,) = await backend.run(ReadWorkers(task="double"))

    async def is_heard_again() -> bool:
        await presence.tick()
        (again,) = await backend.run(ReadWorkers(task="double"))
        return again.worker_id == first.worker_id and again.beat_ms > first.beat_ms

    await aeventually(is_heard_again)
    await presence.leave()
    assert await backend.run(ReadWorkers(task="double")) == ()


class Full:
    """A backend that refuses to store that a worker is there, or does not answer."""

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent

    async def run(self, operation: Operation[int]) -> int:
        assert isinstance(operation, AnnounceWorker)
        if self.silent:
            await asyncio.Event().wait()
        raise BackendError("out of memory")


@pytest.mark.parametrize("silent", [False, True])
async def test_a_server_that_refuses_it_keeps_no_worker_from_working_or_ending(
    silent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker("memory://")
    worker.implement(double, answer)
    backend: object = Full(silent=silent)
    presence = Presence(backend, worker.implementations.values())  # type: ignore[arg-type]  # only `run` is called
    if not silent:
        await presence.arrive()
        assert [record.message for record in caplog.records] == ["role_failed"]
    async with asyncio.timeout(5):
        await presence.leave()
