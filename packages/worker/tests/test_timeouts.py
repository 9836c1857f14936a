import asyncio
import logging
import threading

import pytest

from packages.worker.tests.workbench import anything, double, find
from taskora.contracts import JobFailedError, JobState, JobTimeoutError, Retry, define_task
from taskora.worker import Context, Worker
from tests.polling import aeventually

NEVER = 3600.0


async def test_an_attempt_that_takes_too_long_is_cancelled_and_fails(url: str) -> None:
    worker = Worker(url)
    signals: list[str | None] = []

    @worker.implement(anything, timeout="200ms")
    async def handle(data: object, ctx: Context) -> None:
        try:
            await asyncio.sleep(NEVER)
        except asyncio.CancelledError:
            signals.append(ctx.cancelled.reason)
            raise

    async with worker:
        job = await worker.register(anything).dispatch(1)
        with pytest.raises(JobFailedError, match="did not complete within 200ms"):
            await job.result("5s")
        info = await find(worker, job.id)
    assert signals == ["timeout"]
    assert (info.state, info.attempt) == (JobState.FAILED, 1)


async def test_a_timeout_is_not_retried_unless_it_is_listed(url: str) -> None:
    worker = Worker(url)
    runs: dict[str, int] = {"unlisted": 0, "listed": 0}
    unlisted = define_task("unlisted", input=None, retry=Retry(attempts=3, delay="1ms"), timeout="20ms")
    listed = define_task(
        "listed", input=None, retry=Retry(attempts=3, delay="1ms", retry_on=(JobTimeoutError,)), timeout="20ms"
    )

    async def handle(data: None, ctx: Context) -> None:
        runs[ctx.task] += 1
        await asyncio.sleep(NEVER)

    worker.implement(unlisted, handle)
    worker.implement(listed, handle)
    async with worker:
        for contract in (unlisted, listed):
            with pytest.raises(JobFailedError, match="did not complete within 20ms"):
                await (await worker.register(contract).dispatch(None)).result("5s")
    assert runs == {"unlisted": 1, "listed": 3}


async def test_a_fast_handler_does_not_notice_its_timeout(url: str) -> None:
    worker = Worker(url)

    @worker.implement(double, timeout="5s")
    async def handle(data: int) -> int:
        return data * 2

    async with worker:
        assert await (await worker.register(double).dispatch(2)).result("5s") == 4


async def test_a_result_that_came_too_late_does_not_count(url: str) -> None:
    worker = Worker(url)

    @worker.implement(double, timeout="50ms")
    async def handle(data: int, ctx: Context) -> int:
        try:
            await asyncio.sleep(NEVER)
        except asyncio.CancelledError:
            return data
        return data

    async with worker:
        with pytest.raises(JobFailedError, match="did not complete within 50ms"):
            await (await worker.register(double).dispatch(2)).result("5s")


async def test_a_handler_that_ignores_its_cancellation_is_left_behind_and_may_write_nothing_more(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("taskora.worker._running.STOP_GRACE_MS", 50)
    worker = Worker(url)
    release = asyncio.Event()
    wrote = asyncio.Event()

    @worker.implement(anything, timeout="50ms")
    async def handle(data: object, ctx: Context) -> object:
        if data == "good":
            return data
        ctx.progress("in time")
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        ctx.progress("late")
        ctx.log.info("late")
        wrote.set()
        return "late"

    async with worker:
        task = worker.register(anything)
        job = await task.dispatch("stubborn")
        with pytest.raises(JobFailedError, match="did not complete within 50ms"):
            await job.result("5s")
        assert await (await task.dispatch("good")).result("5s") == "good"  # the slot is free
        release.set()
        await wrote.wait()
        assert await (await task.dispatch("good")).result("5s") == "good"
        info = await find(worker, job.id)
    assert (info.state, info.progress, info.logs, info.result) == (JobState.FAILED, "in time", (), None)
    assert "attempt_left_behind" in caplog.messages


async def test_a_thread_that_ignores_its_signal_is_left_behind(url: str, caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(url)
    release = threading.Event()
    ended = threading.Event()

    @worker.implement(anything, timeout="300ms")
    def handle(data: object, ctx: Context) -> object:
        if data == "good":
            return data
        release.wait(30)
        ctx.progress("late")
        ended.set()
        raise RuntimeError("nobody hears this")

    async with worker:
        task = worker.register(anything)
        job = await task.dispatch("stubborn")
        with pytest.raises(JobFailedError, match="did not complete within 300ms"):
            await job.result("5s")
        assert await (await task.dispatch("good")).result("5s") == "good"
        release.set()
        await aeventually(ended.is_set)
        assert await (await task.dispatch("good")).result("5s") == "good"
        assert (await find(worker, job.id)).progress is None
    assert "never retrieved" not in caplog.text


async def test_a_thread_sees_that_its_time_is_over(url: str) -> None:
    worker = Worker(url)
    reasons: list[str | None] = []

    @worker.implement(anything, timeout="50ms")
    def handle(data: object, ctx: Context) -> None:
        assert ctx.cancelled.wait(10)
        reasons.append(ctx.cancelled.reason)

    async with worker:
        with pytest.raises(JobFailedError, match="did not complete within 50ms"):
            await (await worker.register(anything).dispatch(1)).result("5s")
        await aeventually(lambda: reasons == ["timeout"])


async def test_many_attempts_time_out_each_in_its_time(memory: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    worker = Worker(memory)

    @worker.implement(double, concurrency=200, timeout="1s")
    async def handle(data: int) -> int:
        if data % 2:
            await asyncio.sleep(NEVER)
        return data

    async with worker:
        handles = await worker.register(double).dispatch_many(range(200))
        results = await asyncio.gather(*(handle.result("10s") for handle in handles), return_exceptions=True)
    assert [number for number, result in enumerate(results) if isinstance(result, JobFailedError)] == [
        *range(1, 200, 2)
    ]
