"""What a runner forgets, what it keeps, and that it is in order after a loop without end."""

from datetime import UTC, datetime, timedelta

import pytest

from taskora.contracts import JobState, Retry, Schedule, Throttle, UnknownJobError, UsageError, chain, define_task
from taskora.testing import TestRunner
from taskora.worker import Context, Worker

START = datetime(2026, 1, 1, tzinfo=UTC)
double = define_task("double", input=int, output=int)
flaky = define_task("flaky", input=int, output=int, retry=Retry(attempts=2, delay="1m"))


def a_worker(seen: list[datetime]) -> Worker:
    worker = Worker("redis://127.0.0.1:1")

    @worker.implement(double)
    async def _double(data: int, ctx: Context) -> int:
        seen.append(ctx.timestamp)
        return 2 * data

    @worker.implement(flaky)
    def _flaky(data: int, ctx: Context) -> int:
        ctx.log.info("tried")
        if ctx.attempt == 1:
            raise OSError("not yet")
        return data

    return worker


async def test_clear_forgets_workflows_and_flow_control() -> None:
    throttle = Throttle(key="k", max=1, window="1h")
    async with TestRunner(a_worker([])) as runner:
        flow = await runner.producer.dispatch(chain(flaky.s(1), double.s()), ttl="1h")
        assert (await runner.dispatch(double, 1, throttle=throttle)).enqueued
        await runner.process_all()
        runner.clear()
        assert await runner.inspector.workflows() == []
        with pytest.raises(UnknownJobError):
            await flow.result(0)
        report = await runner.process_all()
        assert (report.processed, report.parked, report.next_due) == ((), (), None)
        assert (await runner.dispatch(double, 1, throttle=throttle)).enqueued


async def test_clear_begins_the_schedules_of_the_worker_anew_and_forgets_others() -> None:
    seen: list[datetime] = []
    worker = a_worker(seen)
    worker.schedule("hourly", double, every="1h", data=1)
    async with TestRunner(worker, start=START) as runner:
        await runner.producer.schedules.create("other", double, Schedule(every="1m", data=2))
        await runner.advance_time("90m")
        await runner.producer.schedules.pause("hourly")
        runner.clear()
        seen.clear()
        (info,) = await runner.producer.schedules.list()
        assert (info.name, info.paused, info.last_run, info.declared) == ("hourly", False, None, True)
        await runner.advance_time("2h")
    assert seen == [START + timedelta(minutes=150), START + timedelta(minutes=210)]


async def test_log_entries_have_the_time_of_the_runner() -> None:
    async with TestRunner(a_worker([]), start=START) as runner:
        execution = await runner.execute(flaky, 1)
    begin_ms = int(START.timestamp() * 1000)
    assert [entry.timestamp_ms - begin_ms for entry in execution.logs] == [0, 60_000]


async def test_a_runner_can_be_cleared_and_used_after_a_loop_without_end() -> None:
    worker = a_worker([])

    @worker.task("again", concurrency=3)
    async def again(data: int) -> None:
        await again.dispatch(data + 1)

    async with TestRunner(worker, max_jobs=20) as runner:
        await again.dispatch_many([1, 2, 3])
        with pytest.raises(UsageError, match="task 'again' was started"):
            await runner.process_all()
        assert JobState.ACTIVE not in {job.state for job in runner.jobs}
        runner.clear()
        assert (await runner.execute(double, 2)).result == 4
