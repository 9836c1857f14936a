"""What becomes of attempts that are told to stop."""

import asyncio
import logging
from typing import Any, cast

import pytest

from packages.worker.tests.workbench import Meddler, anything, double, find, reach
from taskora.contracts import JobState
from taskora.wire import Claim, ExtendLeases, Operation
from taskora.wire.backends import open_backend
from taskora.worker import Context, Defaults, Worker
from taskora.worker._context import ContextPort
from taskora.worker._implementation import resolve
from taskora.worker._invoking import in_thread
from taskora.worker._threads import ThreadPool
from tests.polling import aeventually

FOR_EVER = 3600.0


async def test_an_attempt_that_is_cancelled_shortly_before_its_time_is_over_has_its_grace(
    memory: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(memory)
    entered, stopped, past_timeout = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ends: list[str] = []

    @worker.implement(anything, timeout="200ms")
    async def handle(data: object, ctx: Context) -> None:
        entered.set()
        try:
            await asyncio.sleep(FOR_EVER)
        finally:
            stopped.set()
            await past_timeout.wait()
            ends.append("cleaned up")

    async with worker:
        job = await worker.register(anything).dispatch(1)
        await entered.wait()
        await job.cancel()
        await stopped.wait()
        asyncio.get_running_loop().call_later(0.4, past_timeout.set)
        await past_timeout.wait()
        info = await reach(worker, job.id, JobState.CANCELLED)
    assert (info.state, ends) == (JobState.CANCELLED, ["cleaned up"])
    assert "attempt_left_behind" not in caplog.messages


async def test_a_cancelled_attempt_without_a_timeout_is_left_behind_when_it_goes_on(
    memory: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("taskora.worker._running.STOP_GRACE_MS", 50)
    worker = Worker(memory, defaults=Defaults(timeout=None))
    entered, release = asyncio.Event(), asyncio.Event()

    @worker.implement(anything)
    async def handle(data: object) -> None:
        entered.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with worker:
        job = await worker.register(anything).dispatch(1)
        await entered.wait()
        await job.cancel()
        await reach(worker, job.id, JobState.CANCELLED)
        release.set()
    assert "attempt_left_behind" in caplog.messages


async def test_a_thread_that_has_its_result_when_the_worker_closes_is_not_run_again() -> None:
    future: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    class Pool:
        def submit(self, call: object) -> asyncio.Future[object]:
            return future

    def handle(data: int) -> int:
        return data

    implementation = resolve(double, handle, Defaults(), None)
    claim = Claim(job_id="1", token="t", data=b"2", version=1, attempt=1, timestamp_ms=0)
    context = Context(claim, cast("ContextPort", None), task="double", max_attempts=1, timeout_ms=None, claimed_ms=0)
    invoke = in_thread(implementation, cast("ThreadPool", Pool()))
    running = asyncio.ensure_future(invoke(context))
    waiting = asyncio.Event()
    asyncio.get_running_loop().call_soon(waiting.set)
    await waiting.wait()
    future.set_result(4)
    context.cancelled.set("shutdown")
    running.cancel()
    assert await running == 4


async def test_heartbeats_that_come_while_a_lease_is_renewed_are_one(
    memory: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    renewals: list[int] = []
    entered, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Meddler):
        async def run(self, operation: Operation[Any]) -> Any:
            if isinstance(operation, ExtendLeases):
                renewals.append(len(operation.leases))
                entered.set()
                await go_on.wait()
                if len(renewals) == 1:
                    raise ValueError("odd")
            return await super().run(operation)

    backend = Slow(open_backend(memory))
    worker = Worker(backend, lease="1h")

    @worker.implement(anything)
    async def handle(data: object, ctx: Context) -> str:
        ctx.heartbeat()
        await entered.wait()
        for _ in range(100):
            ctx.heartbeat()
        go_on.set()
        await aeventually(lambda: len(renewals) > 1)
        return "done"

    async with worker:
        job = await worker.register(anything).dispatch(1)
        assert await job.result("5s") == "done"
        assert (await find(worker, job.id)).state is JobState.COMPLETED
    await backend.close()
    assert renewals == [1, 1]
    assert caplog.messages.count("lease_renewal_failed") == 1
