"""Schedules in virtual time."""

import asyncio
from datetime import UTC, datetime, timedelta

from taskora.contracts import define_task
from taskora.testing import TestRunner
from taskora.worker import Context, Worker

START = datetime(2026, 1, 1, tzinfo=UTC)
cleanup = define_task("cleanup", input=int, output=int)


def a_worker(seen: list[datetime]) -> Worker:
    worker = Worker("redis://127.0.0.1:1")

    @worker.implement(cleanup)
    async def handle(data: int, ctx: Context) -> int:
        seen.append(ctx.timestamp)
        return data

    return worker


async def test_a_schedule_runs_at_each_of_its_instants() -> None:
    seen: list[datetime] = []
    worker = a_worker(seen)
    worker.schedule("often", cleanup, every="5m", data=1)
    async with TestRunner(worker, start=START) as runner:
        report = await runner.advance_time("1h")
        assert seen == [START + timedelta(minutes=minutes) for minutes in range(5, 61, 5)]
        assert report.next_due == START + timedelta(minutes=65)


async def test_a_cron_schedule_runs_at_its_local_time() -> None:
    seen: list[datetime] = []
    worker = a_worker(seen)
    worker.schedule("mornings", cleanup, cron="0 9 * * 1-5", timezone="America/New_York", data=1)
    async with TestRunner(worker, start=START) as runner:
        await runner.advance_time("7d")
    assert [(at.day, at.hour) for at in seen] == [(1, 14), (2, 14), (5, 14), (6, 14), (7, 14)]


def test_a_schedule_goes_on_over_several_event_loops() -> None:
    seen: list[datetime] = []
    worker = a_worker(seen)
    worker.schedule("often", cleanup, every="5s", data=1)
    with TestRunner(worker, start=START) as runner:
        for _ in range(4):
            asyncio.run(runner.advance_time("5s"))
    assert seen == [START + timedelta(seconds=seconds) for seconds in (5, 10, 15, 20)]


async def test_a_schedule_that_was_paused_runs_again_when_it_is_resumed() -> None:
    seen: list[datetime] = []
    worker = a_worker(seen)
    worker.schedule("often", cleanup, every="5m", data=1)
    async with TestRunner(worker, start=START) as runner:
        await runner.process_all()
        await runner.producer.schedules.pause("often")
        await runner.advance_time("1h")
        assert seen == []
        await runner.producer.schedules.resume("often")
        await runner.advance_time("10m")
        assert seen[-2:] == [START + timedelta(minutes=65), START + timedelta(minutes=70)]


async def test_an_execution_does_not_wait_for_schedules() -> None:
    seen: list[datetime] = []
    worker = a_worker(seen)
    worker.schedule("often", cleanup, every="5m", data=1)
    async with TestRunner(worker, start=START) as runner:
        assert (await runner.execute(cleanup, 2)).result == 2
        assert runner.now == START
        runner.clear()
        await runner.advance_time("10m")
    assert len(seen) == 3
