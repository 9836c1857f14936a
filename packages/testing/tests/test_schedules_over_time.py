"""Schedules in a time that stands still until the test moves it."""

from datetime import UTC, datetime, timedelta

from taskora.contracts import Schedule, define_task
from taskora.testing import TestRunner
from taskora.worker import Context, Worker

report = define_task("report", input=str, output=str)


def reporting(ran: list[datetime], **options: object) -> Worker:
    worker = Worker("redis://never.connected:6379")

    @worker.implement(report, schedule=Schedule(data="daily", **options))  # type: ignore[arg-type]  # each test's own
    async def handle(data: str, ctx: Context) -> str:
        ran.append(ctx.timestamp)
        return data

    return worker


async def test_a_change_of_clocks_is_crossed_in_virtual_time() -> None:
    ran: list[datetime] = []
    worker = reporting(ran, cron="30 2 * * *", timezone="America/New_York")
    async with TestRunner(worker) as runner:
        await runner.advance_time("400d")
        days = [instant.astimezone(UTC).date() for instant in ran]
        assert days == [days[0] + timedelta(days=number) for number in range(400)]


async def test_an_interval_with_jitter_fires_in_order_with_everything_else() -> None:
    started: list[datetime] = []
    worker = Worker("redis://never.connected:6379")

    @worker.implement(report, schedule=Schedule(every="10s", jitter="4s", data="x"))
    async def handle(data: str) -> str:
        started.append(runner.now)
        return data

    async with TestRunner(worker) as runner:
        begin = runner.now
        await runner.advance_time("64s")
        offsets = [(instant - begin).total_seconds() for instant in started]
        assert len(offsets) == 6
        assert all(0 <= offset - 10 * (number + 1) <= 4 for number, offset in enumerate(offsets))
        assert len({offset % 10 for offset in offsets}) > 1


async def test_a_schedule_is_paused_resumed_and_triggered_through_the_producer() -> None:
    ran: list[datetime] = []
    async with TestRunner(reporting(ran, every="1h")) as runner:
        await runner.advance_time("2h")
        assert len(ran) == 2
        schedules = runner.producer.schedules
        await schedules.pause("report")
        await runner.advance_time("5h")
        assert len(ran) == 2
        handle = await schedules.trigger("report", report)
        await runner.process_all()
        assert await handle.result() == "daily"
        await schedules.resume("report")
        await runner.advance_time("1h")
        assert len(ran) == 4
