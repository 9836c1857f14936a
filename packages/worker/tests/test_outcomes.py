"""Outcomes on their way to the storage: how many leave together, and what becomes of those that it refuses."""

import asyncio
import logging
from typing import Any

import pytest

from packages.worker.tests.workbench import QUICK_SWEEPS, Meddler, double
from taskora.contracts import BackendError, define_task
from taskora.producer import AsyncProducer
from taskora.wire import Exchange, Operation
from taskora.wire.backends import open_backend
from taskora.worker import Worker, _ended, _lane
from tests.polling import aeventually

large = define_task("large", input=int, output=str)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lane, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(_lane, "_LONGEST_PAUSE", 0.01)


async def test_large_results_leave_in_parts(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ended, "MOST_BYTES", 1000)
    sizes: list[int] = []

    def note(operation: Operation[Any]) -> None:
        if isinstance(operation, Exchange) and operation.outcomes:
            sizes.append(sum(len(outcome.payload) for outcome in operation.outcomes))

    backend = Meddler(open_backend(memory), before=note)
    worker = Worker(backend)
    go_on = asyncio.Event()

    @worker.implement(large, concurrency=20)
    async def handle(data: int) -> str:
        await go_on.wait()
        return "x" * (298 if data else 2998)

    async with worker, AsyncProducer(memory) as producer:
        handles = [await producer.register(large).dispatch(number) for number in range(11)]
        await aeventually(lambda: backend.calls["Exchange"] >= 2)
        go_on.set()
        for handle_ in handles:
            await handle_.result(timeout="20s")
    assert sum(sizes) == 10 * 300 + 3000
    assert all(size <= 1000 or size == 3000 for size in sizes)
    await backend.close()


class Refusing:
    """Refuses whatever contains the result `13`, for good, until it is told to take it."""

    def __init__(self) -> None:
        self.on = True
        self.refused: list[int] = []

    def __call__(self, operation: Operation[Any]) -> None:
        if not isinstance(operation, Exchange) or not self.on:
            return
        if any(outcome.payload == b"26" for outcome in operation.outcomes):
            self.refused.append(len(operation.outcomes))
            raise BackendError("the server refused a request (a damaged key)", is_permanent=True)


async def test_an_outcome_that_is_refused_for_good_is_given_up_and_the_others_are_stored(
    memory: str, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = Refusing()
    backend = Meddler(open_backend(memory), before=refusing)
    worker = Worker(backend, lease="1s", defaults=QUICK_SWEEPS)
    go_on = asyncio.Event()
    runs = 0

    @worker.implement(double, concurrency=20)
    async def handle(data: int) -> int:
        nonlocal runs
        runs += data == 13
        await go_on.wait()
        return data * 2

    with caplog.at_level(logging.ERROR, "taskora.worker"):
        async with worker, AsyncProducer(memory) as producer:
            handles = [await producer.register(double).dispatch(number) for number in range(20)]
            await aeventually(lambda: runs == 1)
            go_on.set()
            for number in {*range(20)} - {13}:
                assert await handles[number].result(timeout="20s") == number * 2
            await aeventually(lambda: "outcome_given_up" in caplog.text)
            assert refusing.refused[-1] == 1
            refusing.on = False
            assert await handles[13].result(timeout="20s") == 26
    (record,) = [record for record in caplog.records if record.message == "outcome_given_up"]
    assert record.__dict__["job"] == handles[13].id
    assert runs == 2
    await backend.close()


async def test_claims_that_are_refused_hold_up_no_outcome(memory: str) -> None:
    refuses = False

    def refuse(operation: Operation[Any]) -> None:
        if refuses and isinstance(operation, Exchange) and operation.slots:
            raise BackendError("the server refused a request (a damaged key)", is_permanent=True)

    backend = Meddler(open_backend(memory), before=refuse)
    worker = Worker(backend)
    started, go_on = asyncio.Event(), asyncio.Event()

    @worker.implement(double, concurrency=2)
    async def handle(data: int) -> int:
        started.set()
        await go_on.wait()
        return data * 2

    async with worker, AsyncProducer(memory) as producer:
        first = await producer.register(double).dispatch(1)
        await started.wait()
        refuses = True
        second = await producer.register(double).dispatch(2)
        calls = backend.calls["Exchange"]
        await aeventually(lambda: backend.calls["Exchange"] > calls + 2)
        go_on.set()
        assert await first.result(timeout="20s") == 2
        refuses = False
        assert await second.result(timeout="20s") == 4
    await backend.close()


async def test_a_server_that_cannot_be_reached_loses_no_outcome(memory: str) -> None:
    down = False

    def fail(operation: Operation[Any]) -> None:
        if down and isinstance(operation, Exchange):
            raise BackendError("the server cannot be reached")

    backend = Meddler(open_backend(memory), before=fail)
    worker = Worker(backend)

    @worker.implement(double)
    async def handle(data: int) -> int:
        nonlocal down
        down = True
        return data * 2

    async with worker, AsyncProducer(memory) as producer:
        job = await producer.register(double).dispatch(1)
        calls = backend.calls["Exchange"]
        await aeventually(lambda: down and backend.calls["Exchange"] > calls + 12)
        down = False
        assert await job.result(timeout="20s") == 2
    await backend.close()
