"""The runner with contracts and inline tasks: run, execute, dispatch, time, jobs, steps, clear."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from taskora.contracts import (
    Collect,
    Debounce,
    JobState,
    Retry,
    UsageError,
    ValidationError,
    define_task,
)
from taskora.testing import TestRunner
from taskora.worker import CallNext, Context, Worker


@dataclass
class Order:
    number: int


double = define_task("double", input=int, output=int)
flaky = define_task("flaky", input=int, output=int, retry=Retry(attempts=3, delay="1s", backoff="exponential"))


async def test_a_handler_is_run_directly() -> None:
    runner = TestRunner()

    @runner.worker.implement(double)
    async def handle(data: int) -> int:
        return 2 * data

    assert await runner.run(double, 21) == 42
    assert runner.jobs == []
    await runner.close()


async def test_a_direct_run_is_retried_at_once_and_raises_the_error_of_the_handler_at_last() -> None:
    attempts: list[int] = []
    async with TestRunner() as runner:

        @runner.worker.implement(flaky)
        async def handle(data: int, ctx: Context) -> int:
            attempts.append(ctx.attempt)
            if ctx.attempt <= data:
                raise LookupError(f"attempt {ctx.attempt}")
            return ctx.attempt

        assert await runner.run(flaky, 2) == 3
        with pytest.raises(LookupError, match="attempt 3"):
            await runner.run(flaky, 9)
    assert attempts == [1, 2, 3, 1, 2, 3]


async def test_a_direct_run_uses_the_middleware_of_the_worker() -> None:
    async def add_one(ctx: Context, call_next: CallNext) -> None:
        assert isinstance(ctx.data, int)
        ctx.data = ctx.data + 1
        await call_next()

    worker = Worker("memory://", middleware=[add_one])

    @worker.implement(double)
    def handle(data: int) -> int:
        return 2 * data

    async with TestRunner(worker) as runner:
        assert await runner.run(double, 1) == 4


async def test_a_direct_run_validates_what_goes_in_and_what_comes_out() -> None:
    async with TestRunner() as runner:

        @runner.worker.implement(double)
        async def handle(data: int) -> int:
            return "nonsense"  # type: ignore[return-value]  # that it is wrong is the point

        with pytest.raises(ValidationError, match="input"):
            await runner.run(double, "x")  # type: ignore[misc]  # that it is wrong is the point
        with pytest.raises(ValidationError, match="output"):
            await runner.run(double, 1)


async def test_what_is_dispatched_waits_until_it_is_processed() -> None:
    async with TestRunner() as runner:

        @runner.worker.implement(double)
        async def handle(data: int) -> int:
            return 2 * data

        handle_1 = await runner.dispatch(double, 1)
        assert await handle_1.state() is JobState.WAITING
        assert runner.steps == []
        report = await runner.process_all()
        assert await handle_1.result() == 2
        (step,) = report.processed
        assert (step.task, step.job_id, step.state, step.result) == ("double", handle_1.id, JobState.COMPLETED, 2)
        assert report.parked == ()
        assert report.next_due is None


async def test_a_delayed_job_runs_when_its_time_has_come() -> None:
    async with TestRunner(start=datetime(2026, 3, 1, tzinfo=UTC)) as runner:
        seen: list[datetime] = []

        @runner.worker.implement(double)
        async def handle(data: int) -> int:
            seen.append(runner.now)
            return 2 * data

        job = await runner.dispatch(double, 1, delay="5s")
        report = await runner.process_all()
        assert report.next_due == datetime(2026, 3, 1, 0, 0, 5, tzinfo=UTC)
        await runner.advance_time("4s")
        assert await job.state() is JobState.DELAYED
        await runner.advance_time("10s")
        assert seen == [datetime(2026, 3, 1, 0, 0, 5, tzinfo=UTC)]
        assert runner.now == datetime(2026, 3, 1, 0, 0, 14, tzinfo=UTC)


async def test_retries_come_at_their_instants_without_jitter() -> None:
    async with TestRunner(start=datetime(2026, 3, 1, tzinfo=UTC)) as runner:

        @runner.worker.implement(flaky)
        async def handle(data: int, ctx: Context) -> int:
            if ctx.attempt < 3:
                raise OSError("no")
            return data

        execution = await runner.execute(flaky, 7)
        assert (execution.state, execution.result, execution.attempts) == (JobState.COMPLETED, 7, 3)
        assert runner.now == datetime(2026, 3, 1, 0, 0, 3, tzinfo=UTC)
        begun = [moment.at.second for moment in execution.timeline if moment.kind == "active"]
        assert begun == [0, 1, 3]
        assert [step.state.value for step in runner.steps] == ["retrying", "retrying", "completed"]
        assert [step.attempt for step in runner.steps] == [1, 2, 3]


async def test_an_execution_tells_everything_of_its_job() -> None:
    async with TestRunner() as runner:

        @runner.worker.implement(flaky)
        async def handle(data: int, ctx: Context) -> int:
            ctx.log.info("working", on=data)
            ctx.progress(50)
            return data

        execution = await runner.execute(flaky, 1)
        assert [entry.message for entry in execution.logs] == ["working"]
        assert execution.progress == 50
        assert execution.error is None
        assert await execution.handle.result() == 1
        assert [moment.kind for moment in execution.timeline] == ["waiting", "active", "progress", "completed"]


async def test_a_failure_is_told_and_not_raised() -> None:
    async with TestRunner() as runner:

        @runner.worker.implement(flaky)
        async def handle(data: int) -> int:
            raise LookupError("gone for good")

        execution = await runner.execute(flaky, 1)
        assert (execution.state, execution.result, execution.attempts) == (JobState.FAILED, None, 3)
        assert execution.error == "gone for good"
        assert [job.id for job in await runner.dead_letters.list()] == [execution.handle.id]


async def test_jobs_are_listed_in_the_order_in_which_they_were_dispatched() -> None:
    async with TestRunner() as runner:
        other = define_task("a-other", input=int)
        first = await runner.dispatch(double, 1)
        second = await runner.dispatch(other, 2, delay="1m")
        third = await runner.dispatch(double, 3, priority=9)
        assert [(job.id, job.data, job.state.value) for job in runner.jobs] == [
            (first.id, 1, "waiting"),
            (second.id, 2, "delayed"),
            (third.id, 3, "waiting"),
        ]


async def test_clear_forgets_the_jobs_and_keeps_the_time() -> None:
    async with TestRunner() as runner:

        @runner.worker.implement(double)
        async def handle(data: int) -> int:
            return 2 * data

        before = runner.now
        await runner.execute(double, 1)
        await runner.dispatch(double, 2, delay="1s")
        await runner.advance_time("500ms")
        runner.clear()
        assert (runner.jobs, runner.steps) == ([], [])
        assert (await runner.advance_time("10s")).processed == ()
        assert runner.now == before + timedelta(seconds=10.5)
        assert (await runner.execute(double, 4)).result == 8


async def test_jobs_of_handlers_run_too_three_levels_deep() -> None:
    worker = Worker("redis://127.0.0.1:1")
    seen: list[str] = []

    @worker.task("third")
    async def third(data: int) -> None:
        seen.append(f"third {data}")

    @worker.task("second")
    async def second(data: int) -> None:
        seen.append(f"second {data}")
        await third.dispatch(data + 1)

    @worker.task("first")
    async def first(data: int) -> None:
        seen.append(f"first {data}")
        await worker.producer.register(second.contract).dispatch(data + 1)

    async with TestRunner(worker) as runner:
        await first.dispatch(1)
        await runner.process_all()
        assert [job.task for job in runner.jobs] == ["first", "second", "third"]
    assert seen == ["first 1", "second 2", "third 3"]


async def test_a_handler_may_wait_for_jobs_of_its_own_whatever_time_they_take() -> None:
    worker = Worker("memory://")

    @worker.task("child", retry=Retry(attempts=2, delay="1m"))
    async def child(data: int, ctx: Context) -> int:
        if ctx.attempt == 1:
            raise OSError("not yet")
        return data + 1

    @worker.task("parent")
    async def parent(data: int) -> int:
        handles = [await child.dispatch(data), await child.dispatch(data + 10, delay="1h")]
        return sum(await asyncio.gather(*[handle.result() for handle in handles]))

    async with TestRunner(worker) as runner:
        begin = runner.now
        execution = await runner.execute(parent, 1)
        assert execution.result == 14
        assert runner.now == begin + timedelta(minutes=61)


async def test_collected_items_run_when_their_delay_is_over_or_when_they_are_flushed() -> None:
    batches: list[list[int]] = []
    ingest = define_task("ingest", input=int, output=int, collect=Collect(key="all", delay="2s"))
    async with TestRunner() as runner:

        @runner.worker.implement(ingest)
        async def handle(items: list[int]) -> int:
            batches.append(items)
            return len(items)

        for item in range(3):
            await runner.dispatch(ingest, item)
        await runner.advance_time("1s")
        await runner.dispatch(ingest, 3)
        await runner.advance_time("1s")
        assert batches == []
        await runner.advance_time("1s")
        assert batches == [[0, 1, 2, 3]]
        await runner.dispatch(ingest, 4)
        await runner.flush(ingest, "other")
        assert batches == [[0, 1, 2, 3]]
        report = await runner.flush(ingest, "all")
        assert batches == [[0, 1, 2, 3], [4]]
        assert [step.result for step in report.processed] == [1]
        assert await runner.run(ingest, [5, 6]) == 2
        with pytest.raises(UsageError, match="does not collect"):
            await runner.flush(double, "all")


async def test_debounced_jobs_and_times_to_live_follow_the_virtual_time() -> None:
    async with TestRunner() as runner:
        seen: list[int] = []

        @runner.worker.implement(double, singleton=True, rate_limit=None)
        async def handle(data: int) -> int:
            seen.append(data)
            return data

        for item in range(3):
            await runner.dispatch(double, item, debounce=Debounce(key="k", delay="2s"))
            await runner.advance_time("1s")
        assert seen == []
        await runner.advance_time("1s")
        assert seen == [2]
        late = await runner.dispatch(double, 5, delay="1m", ttl="30s")
        await runner.advance_time("2m")
        assert await late.state() is JobState.EXPIRED
        assert runner.steps[-1].state is JobState.EXPIRED
        assert seen == [2]


async def test_a_worker_may_say_how_a_task_collects_that_does_not_say_so_itself() -> None:
    async with TestRunner() as runner:

        @runner.worker.implement(double, collect=Collect(key="all", delay="2s"))
        async def handle(items: list[int]) -> int:
            return sum(items)

        await runner.dispatch(double, 1)
        assert (await runner.execute(double, 2)).result == 3
        assert await runner.run(double, 4) == 4
