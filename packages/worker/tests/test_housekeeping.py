import asyncio
import gc
import weakref
from typing import Any

import pytest

from packages.worker.tests.workbench import anything, double, find
from taskora.contracts import BackendError, JobFailedError, JobState, Retry
from taskora.producer import AsyncProducer
from taskora.wire.backends import open_backend
from taskora.worker import Context, Keep, Retention, Worker, _retention_pruner
from taskora.worker._lane import Lane
from taskora.worker._retention_pruner import RetentionPruner
from taskora.worker._roles import end, perform
from tests.polling import aeventually
from tests.servers import Server


async def test_a_worker_keeps_nothing_of_jobs_that_have_ended(url: str) -> None:
    worker = Worker(url)

    @worker.implement(double, concurrency=20, retry=Retry(attempts=2, delay="1ms"))
    async def handle(data: int, ctx: Context) -> int:
        ctx.progress(data)
        ctx.log.info("runs")
        if data % 10 == 0 and ctx.attempt == 1:
            raise KeyError("again")
        return data

    async with worker:
        jobs = await worker.register(double).dispatch_many(range(300))
        await asyncio.gather(*(job.result("20s") for job in jobs))
        assert worker._runtime is not None
        attempts = worker._runtime._lanes["double"].attempts

        def held() -> list[object]:
            return [
                *attempts._attempts,
                *attempts._timeouts._due,
                *attempts._graces._due,
                *attempts._loose,
                *attempts._cancelled_early,
                *attempts._reporter._unwritten,
                *attempts._reporter._queue,
            ]

        await aeventually(lambda: held() == [] and attempts.running == 0)


async def test_an_error_is_not_kept_after_it_was_told(memory: str) -> None:
    class Kept(Exception):
        pass

    worker = Worker(memory)
    references: list[weakref.ref[Kept]] = []

    @worker.implement(double)
    async def handle(data: int) -> int:
        error = Kept("large")
        references.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    worker.register(double).on("failed")(lambda event: None)  # a log record would keep it for caplog
    async with worker:
        with pytest.raises(JobFailedError):
            await (await worker.register(double).dispatch(1)).result("5s")

        def is_gone() -> bool:
            gc.collect()
            return references[0]() is None

        await aeventually(is_gone)


async def test_retention_deletes_what_is_too_much(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retention_pruner, "SPARED_MS", 0)
    worker = Worker(url)

    @worker.implement(double)
    async def handle(data: int) -> int:
        if data < 3:
            raise KeyError(data)
        return data

    async with worker:
        jobs = await worker.register(double).dispatch_many(range(10))
        await asyncio.gather(*(job.result("10s") for job in jobs), return_exceptions=True)
        keep = Retention(completed=Keep(max_items=2), failed=Keep(max_items=1))
        await RetentionPruner(worker._backend, "double", keep).tick()
        inspector = worker.producer.inspector
        kept = [info.id for info in [*await inspector.completed(double), *await inspector.failed(double)]]
        assert len(kept) == 3
        assert {job.id for job in jobs if await inspector.find(job.id) is not None} == {*kept}
        await RetentionPruner(worker._backend, "double", Retention()).tick()
        assert len(await inspector.completed(double)) == 2


@pytest.mark.parametrize(("keep", "left"), [(Keep(max_items=1), 3), (Keep(max_age="1ms"), 3), (Keep(max_items=0), 0)])
async def test_a_job_that_has_just_ended_is_deleted_only_where_none_is_kept(url: str, keep: Keep, left: int) -> None:
    worker = Worker(url)

    @worker.implement(double, concurrency=3)
    async def handle(data: int) -> int:
        return data

    async with worker:
        jobs = await worker.register(double).dispatch_many(range(3))
        await asyncio.gather(*(job.result("10s") for job in jobs))
        await RetentionPruner(worker._backend, "double", Retention(completed=keep)).tick()
        assert len(await worker.producer.inspector.completed(double)) == left


async def test_a_role_survives_what_goes_wrong_and_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskora.worker._roles._FIRST_PAUSE", 0.001)
    troubles: list[BaseException] = []

    class Clumsy:
        name = "clumsy"
        interval = 0.001
        ticks = 0

        async def tick(self) -> None:
            self.ticks += 1
            if self.ticks == 1:
                raise BackendError("away")
            if self.ticks == 2:
                raise KeyError("odd")

    role = Clumsy()
    task = asyncio.create_task(perform(role, troubles.append))
    await aeventually(lambda: role.ticks > 4)
    await end([task])
    assert [type(error) for error in troubles] == [BackendError, KeyError]
    assert caplog.messages == ["role_failed", "role_failed"]


async def test_a_lane_that_dies_of_a_bug_says_so(
    memory: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(memory)
    told: list[BaseException | None] = []
    worker.on("worker:error")(lambda event: told.append(event.error))

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data

    def fail(lane: Lane, *arguments: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Lane, "_start_claims", fail)
    async with worker:
        await aeventually(lambda: [type(error) for error in told] == [KeyError])
    assert "lane_died" in caplog.messages


async def test_jobs_settle_when_a_server_that_was_out_of_memory_has_some_again(one_server: Server) -> None:
    worker = Worker(one_server.url)
    entered, go_on = asyncio.Event(), asyncio.Event()

    @worker.implement(anything)
    async def handle(data: object, ctx: Context) -> str:
        entered.set()
        await go_on.wait()
        ctx.progress("lost, perhaps")
        return "x" * 1000

    with one_server.client() as client:
        async with worker, AsyncProducer(one_server.url) as producer:
            task = producer.register(anything)
            job = await task.dispatch(1)
            await entered.wait()
            try:
                client.config_set("maxmemory", 1)
                with pytest.raises(BackendError, match="out of memory"):
                    await task.dispatch(2)
                go_on.set()
                calls: Any = client.info("commandstats")
                before = calls["cmdstat_evalsha"]["calls"]
                await aeventually(lambda: _calls(client) > before)
            finally:
                client.config_set("maxmemory", 0)
            assert await job.result("20s") == "x" * 1000
            assert await (await task.dispatch(3)).result("20s") == "x" * 1000
            assert (await find(worker, job.id)).state is JobState.COMPLETED


def _calls(client: Any) -> int:
    calls: int = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    return calls


async def test_a_payload_is_never_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    worker = Worker(open_backend(url))

    @worker.implement(anything)
    async def handle(data: object) -> object:
        raise RuntimeError("no details")

    async with worker:
        with pytest.raises(JobFailedError):
            await (await worker.register(anything).dispatch("top secret")).result("5s")
    assert "(attempt 1/1): no details" in caplog.text
    assert "top secret" not in caplog.text
    await worker._backend.close()
