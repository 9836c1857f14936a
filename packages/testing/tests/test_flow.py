"""What may not run yet, and what must not run for ever: limits, versions, stalls, loops without end."""

import asyncio
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from taskora.contracts import JobState, RateLimit, Retry, Stall, UsageError, define_task
from taskora.testing import TestRunner
from taskora.worker import Context, Keep, Retention, Worker

work = define_task("work", input=int, output=int, stall=Stall(interval="30s", max_count=1))


async def test_a_job_that_nobody_implements_is_reported_and_not_looked_for_again() -> None:
    async with TestRunner() as runner:
        job = await runner.dispatch(work, 1)
        report = await runner.process_all()
        assert [(parked.job_id, parked.reason) for parked in report.parked] == [(job.id, "unserved")]
        assert report.processed == ()


async def test_a_newer_job_is_reported_and_does_not_hold_up_anything() -> None:
    newer = define_task("work", input=int, output=int, version=2)
    async with TestRunner() as runner:
        runner.worker.implement(work, lambda data: data)
        job = await runner.dispatch(newer, 1)
        report = await runner.advance_time("1h")
        assert [(parked.job_id, parked.reason) for parked in report.parked] == [(job.id, "newer")]
        assert (await runner.execute(work, 2)).result == 2
        assert (await runner.execute(newer, 2)).state is JobState.DELAYED


async def test_the_limit_of_a_concurrency_key_is_kept_and_all_jobs_run() -> None:
    running: list[int] = []
    most = 0
    async with TestRunner() as runner:

        @runner.worker.implement(work, concurrency=10)
        async def handle(data: int) -> int:
            nonlocal most
            running.append(data)
            most = max(most, len(running))
            await asyncio.sleep(0)
            running.remove(data)
            return data

        for number in range(6):
            await runner.dispatch(work, number, concurrency_key="tenant", concurrency_limit=2)
        report = await runner.process_all()
        assert (len(report.processed), most, report.parked) == (6, 2, ())


async def test_a_key_that_somebody_else_holds_parks_its_jobs_until_that_worker_is_given_up() -> None:
    async with TestRunner() as runner:
        runner.worker.implement(work, lambda data: data)
        lost = await runner.dispatch(work, 1, concurrency_key="tenant", concurrency_limit=1)
        assert await runner.crash(work) == lost.id
        held = await runner.dispatch(work, 2, concurrency_key="tenant", concurrency_limit=1)
        report = await runner.process_all()
        assert [(parked.job_id, parked.reason) for parked in report.parked] == [(held.id, "saturated")]
        begin = runner.now
        report = await runner.advance_time("5m")
        assert {step.job_id for step in report.processed} == {lost.id, held.id}
        assert {step.at - begin for step in report.processed} == {timedelta(seconds=60)}
        assert [moment.kind for moment in (await runner.execute(work, 3)).timeline] == [
            "waiting",
            "active",
            "completed",
        ]


async def test_a_job_whose_worker_died_runs_again() -> None:
    async with TestRunner() as runner:
        runner.worker.implement(work, lambda data: data, concurrency=1)
        job = await runner.dispatch(work, 1)
        await runner.crash(work)
        await runner.advance_time("5m")
        assert await job.result() == 1
        assert [info.stalled_count for info in runner.jobs] == [1]


async def test_rate_limited_jobs_start_at_their_instants() -> None:
    starts: list[int] = []
    async with TestRunner(start=datetime(2026, 1, 1, tzinfo=UTC)) as runner:

        @runner.worker.implement(work, concurrency=5, rate_limit=RateLimit(max=2, window="1m"))
        async def handle(data: int) -> int:
            starts.append(runner.now.minute)
            return data

        for number in range(5):
            await runner.dispatch(work, number)
        report = await runner.process_all()
        assert len(report.processed) == 2
        assert {parked.reason for parked in report.parked} == {"paced"}
        assert report.next_due == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
        report = await runner.advance_time("1h")
        assert starts == [0, 0, 1, 1, 2]
        assert report.parked == ()


async def test_jobs_of_a_rate_limited_key_start_at_their_instants() -> None:
    starts: list[int] = []
    async with TestRunner(start=datetime(2026, 1, 1, tzinfo=UTC)) as runner:

        @runner.worker.implement(work, rate_limit=RateLimit(max=1, window="1m", key=lambda data: str(data % 2)))
        async def handle(data: int) -> int:
            starts.append(runner.now.minute)
            return data

        for number in range(6):
            await runner.dispatch(work, number)
        await runner.advance_time("1h")
        assert starts == [0, 0, 1, 1, 2, 2]


async def test_a_singleton_runs_one_at_a_time_and_priorities_count() -> None:
    order: list[int] = []
    async with TestRunner() as runner:

        @runner.worker.implement(work, concurrency=5, singleton=True)
        async def handle(data: int) -> int:
            order.append(data)
            await asyncio.sleep(0)
            order.append(data)
            return data

        for number, priority in ((1, 0), (2, 5), (3, 9)):
            await runner.dispatch(work, number, priority=priority)
        await runner.process_all()
        assert order == [3, 3, 2, 2, 1, 1]


async def test_a_task_that_dispatches_itself_for_ever_is_named() -> None:
    worker = Worker("memory://")

    @worker.task("snake")
    async def snake(data: int) -> None:
        await snake.dispatch(data + 1)

    async with TestRunner(worker, max_jobs=200) as runner:
        await snake.dispatch(0)
        with pytest.raises(UsageError, match=r"'snake' was started 201 times"):
            await runner.process_all()
        with pytest.raises(UsageError, match="without end"):
            await runner.advance_time("1h")


async def test_a_job_every_five_minutes_runs_at_each_of_its_instants() -> None:
    worker = Worker("memory://")
    ticks: list[tuple[int, int]] = []

    @worker.task("tick")
    async def tick(data: None, ctx: Context) -> None:
        ticks.append((runner.now.minute, ctx.timestamp.minute))
        await tick.dispatch(None, delay="5m")

    async with TestRunner(worker, start=datetime(2026, 1, 1, tzinfo=UTC)) as runner:
        await tick.dispatch(None, delay="5m")
        await runner.advance_time("1h")
        assert ticks == [(minute % 60, minute - 5) for minute in range(5, 61, 5)]


async def test_a_handler_cannot_make_its_runner_work() -> None:
    worker = Worker("memory://")

    @worker.task("clever")
    async def clever(data: None) -> None:
        await runner.advance_time("1h")

    async with TestRunner(worker) as runner:
        execution = await runner.execute(clever, None)
        assert execution.state is JobState.FAILED
        assert "cannot make the runner work" in (execution.error or "")


async def test_a_job_that_is_cancelled_while_it_runs_stops_and_its_hook_is_called() -> None:
    cancelled: list[int] = []
    started = asyncio.Event()
    async with TestRunner() as runner:

        async def clean_up(data: int, ctx: Context) -> None:
            cancelled.append(data)

        @runner.worker.implement(work, on_cancel=clean_up)
        async def handle(data: int) -> int:
            started.set()
            await asyncio.Event().wait()
            return data

        job = await runner.dispatch(work, 1)
        working = asyncio.create_task(runner.process_all())
        await started.wait()
        assert await job.cancel(reason="enough")
        report = await working
        assert [step.state for step in report.processed] == [JobState.CANCELLED]
        assert await job.state() is JobState.CANCELLED
        assert cancelled == [1]


async def test_a_handler_cancels_another_job_and_itself() -> None:
    worker = Worker("memory://")
    started = asyncio.Event()

    @worker.task("victim")
    async def victim(data: None) -> None:
        started.set()
        await asyncio.Event().wait()

    @worker.task("canceller")
    async def canceller(data: str, ctx: Context) -> None:
        await started.wait()
        await victim.job(data).cancel()
        await canceller.job(ctx.id).cancel()
        await asyncio.Event().wait()

    async with TestRunner(worker) as runner:
        first = await victim.dispatch(None)
        second = await canceller.dispatch(first.id)
        await runner.process_all()
        assert await first.state() is JobState.CANCELLED
        assert await second.state() is JobState.CANCELLED


async def test_plain_functions_run_in_threads() -> None:
    async with TestRunner() as runner:

        @runner.worker.implement(work)
        def handle(data: int) -> int:
            runner.sync_producer.register(other).dispatch(data)
            return threading.get_ident()

        @runner.worker.task("other")
        def other_handler(data: int) -> int:
            return data

        other = other_handler.contract
        execution = await runner.execute(work, 1)
        assert execution.result != threading.get_ident()
        assert {step.task for step in runner.steps} == {"work", "other"}


async def test_a_handler_that_takes_too_long_is_stopped() -> None:
    async with TestRunner() as runner:

        @runner.worker.implement(work, timeout="20ms")
        async def handle(data: int) -> int:
            await asyncio.Event().wait()
            return data

        execution = await runner.execute(work, 1)
        assert execution.state is JobState.FAILED
        assert "20" in (execution.error or "")
        with pytest.raises(TimeoutError):
            await runner.run(work, 1)


async def test_a_retention_that_the_worker_was_given_deletes_old_jobs() -> None:
    worker = Worker("memory://", retention=Retention(completed=Keep(max_age="1h")))
    worker.implement(work, lambda data: data)
    async with TestRunner(worker) as runner:
        await runner.execute(work, 1)
        await runner.advance_time("59m")
        assert len(runner.jobs) == 1
        await runner.advance_time("2m")
        assert runner.jobs == []
        assert len(runner.steps) == 1


async def test_a_process_runs_its_handler_for_real() -> None:
    async with TestRunner() as runner:
        runner.worker.implement(work, abs, executor="process")
        assert (await runner.execute(work, -3)).result == 3


async def test_zero_delay_retries_run_in_one_go() -> None:
    task = define_task("eager", input=int, output=int, retry=Retry(attempts=4, delay=0))
    async with TestRunner() as runner:

        @runner.worker.implement(task)
        async def handle(data: int, ctx: Context) -> int:
            if ctx.attempt < 4:
                raise OSError("again")
            return ctx.attempt

        await runner.dispatch(task, 1)
        report = await runner.process_all()
        assert [step.state.value for step in report.processed] == ["retrying"] * 3 + ["completed"]


async def test_default_limits_of_retention_delete_nothing() -> None:
    async with TestRunner() as runner:
        runner.worker.implement(work, abs)
        job = await runner.dispatch(work, -1)
        await runner.advance_time("30d")
        assert await job.result() == 1


async def test_a_process_can_be_run_directly() -> None:
    async with TestRunner() as runner:
        runner.worker.implement(work, abs, executor="process")
        assert await runner.run(work, -3) == 3


async def test_jobs_that_are_prepared_up_front_all_run_whatever_holds_them_back() -> None:
    ended: Counter[int] = Counter()
    async with TestRunner() as runner:

        @runner.worker.implement(work, concurrency=4, retry=Retry(attempts=3, delay="7s"))
        async def handle(data: int, ctx: Context) -> int:
            await asyncio.sleep(0)
            if (data + ctx.attempt) % 3 == 0:
                raise OSError("once more")
            ended[data] += 1
            return data

        for number in range(200):
            await runner.dispatch(
                work,
                number,
                delay=f"{number % 11}s" if number % 2 else None,
                priority=number % 5,
                concurrency_key=f"tenant-{number % 3}" if number % 4 else None,
                concurrency_limit=1 + number % 2 if number % 4 else None,
            )
        await runner.crash(work)
        report = await runner.advance_time("10m")
        assert report.parked == ()
        assert ended == Counter(range(200))
        assert {job.state for job in runner.jobs} == {JobState.COMPLETED}
