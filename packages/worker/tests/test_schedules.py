"""Schedules that workers declare and run."""

import logging
import time
from typing import Any

import pytest

from packages.worker.tests.workbench import anything, double
from taskora.contracts import Collect, Schedule, UsageError, ValidationError, define_task
from taskora.producer import AsyncProducer, ScheduleInfo
from taskora.worker import Context, SchedulerConfig, Worker
from tests.polling import aeventually
from tests.servers import Server

QUICK = SchedulerConfig(poll_interval="50ms", lock_ttl="5s")


async def found(producer: AsyncProducer, name: str) -> ScheduleInfo:
    info = await producer.schedules.find(name)
    assert info is not None
    return info


def beating(url: str, ran: list[str], **options: Any) -> Worker:
    """A worker with a schedule that is due ten times a second."""
    worker = Worker(url, scheduler=QUICK)
    defaults: dict[str, Any] = {"every": "100ms", "overlap": True}

    @worker.implement(anything, concurrency=10, schedule=Schedule(**(defaults | options)))
    async def handle(data: object, ctx: Context) -> None:
        ran.append(ctx.id)

    return worker


async def test_a_task_runs_by_itself(url: str) -> None:
    ran: list[str] = []
    async with beating(url, ran) as worker:
        await aeventually(lambda: len(ran) >= 5)
        info = await found(worker.producer, "anything")
        assert (info.task, info.declared, info.paused, info.problem) == ("anything", True, False, None)
    assert len(ran) == len(set(ran))


async def test_a_schedule_of_six_fields_fires_each_second(memory: str) -> None:
    ran: list[str] = []
    async with beating(memory, ran, every=None, cron="* * * * * *"):
        await aeventually(lambda: len(ran) >= 2)


async def test_several_schedules_of_one_task_have_names_and_inputs_of_their_own(memory: str) -> None:
    worker, got = Worker(memory, scheduler=QUICK), set[int]()

    @worker.implement(double)
    async def handle(data: int) -> int:
        got.add(data)
        return data

    worker.schedule("once", double, every="100ms", data=1)
    worker.schedule("twice", double, every="100ms", data=2)
    async with worker:
        await aeventually(lambda: got == {1, 2})
        assert [info.name for info in await worker.producer.schedules.list()] == ["once", "twice"]


async def test_a_worker_schedules_what_others_implement(url: str, outside: AsyncProducer) -> None:
    worker = Worker(url, scheduler=QUICK)
    worker.schedule("far", define_task("elsewhere", input=int), every="100ms", data=7)
    async with worker:
        await aeventually(outside.inspector.stats)
        waiting = await aeventually(lambda: outside.inspector.waiting("elsewhere"))
    assert [job.data for job in waiting] == [7]  # and no other one while that waits


async def test_pausing_and_resuming_from_another_process(url: str, outside: AsyncProducer) -> None:
    ran: list[str] = []
    async with beating(url, ran):
        await aeventually(lambda: len(ran) >= 1)
        await outside.schedules.pause("anything")
        last = (await found(outside, "anything")).last_job_id
        await aeventually(lambda: last in ran)
        assert (await found(outside, "anything")).paused
        await outside.schedules.resume("anything")
        await aeventually(lambda: ran[-1] != last)


async def test_a_pause_a_plan_and_a_history_survive_a_restart(url: str, outside: AsyncProducer) -> None:
    ran: list[str] = []
    async with beating(url, ran):
        await aeventually(lambda: len(ran) >= 1)
        await outside.schedules.pause("anything")
    before = await found(outside, "anything")
    async with beating(url, ran):
        after = await found(outside, "anything")
    assert (after.paused, after.last_job_id) == (True, before.last_job_id)


async def test_a_long_interval_is_not_put_off_by_restarts(url: str, outside: AsyncProducer) -> None:
    planned: list[object] = []
    for _ in range(2):
        worker = Worker(url)
        worker.schedule("hourly", anything, every="1h")
        async with worker:
            planned.append((await found(outside, "hourly")).next_run)
    assert planned[0] == planned[1]


async def test_runs_that_were_missed_between_two_workers_are_caught_up(url: str) -> None:
    ran: list[str] = []
    async with beating(url, ran, on_missed="catch-up"):
        await aeventually(lambda: len(ran) >= 1)
    before = len(ran)
    back_at = time.monotonic() + 0.5
    await aeventually(lambda: time.monotonic() > back_at)
    async with beating(url, ran, on_missed="catch-up"):
        await aeventually(lambda: len(ran) >= before + 5)
    assert len(ran) == len(set(ran))


async def test_a_worker_that_closes_lets_another_one_lead_at_once(url: str) -> None:
    ran: list[str] = []
    first = Worker(url, scheduler=SchedulerConfig(poll_interval="50ms", lock_ttl="10m"))
    first.schedule("s", anything, every="100ms", overlap=True)
    async with first:
        await aeventually(lambda: _has_run(first))
    async with beating(url, ran):
        await aeventually(lambda: len(ran) >= 1)


async def _has_run(worker: Worker) -> bool:
    return (await found(worker.producer, "s")).last_run is not None


async def test_what_code_declares_no_more_is_told_and_kept(memory: str, caplog: pytest.LogCaptureFixture) -> None:
    async with beating(memory, []):
        pass
    worker = Worker(memory, scheduler=QUICK)

    @worker.implement(anything)
    async def handle(data: object) -> None: ...

    with caplog.at_level(logging.WARNING, "taskora.worker"):
        async with worker:
            assert (await found(worker.producer, "anything")).declared
    assert [record.message for record in caplog.records] == ["schedule_orphaned"]


async def test_a_worker_without_schedules_is_no_scheduler(memory: str, outside: AsyncProducer) -> None:
    async with Worker(memory) as worker:
        assert worker._runtime is not None
        assert worker._runtime._scheduler is None


async def test_schedules_are_declared_again_on_a_server_that_has_lost_its_data(one_server: Server) -> None:
    worker = Worker(one_server.url, scheduler=QUICK)
    worker.schedule("s", anything, every="1h")
    async with worker:
        assert worker._runtime is not None
        scheduler: Any = worker._runtime._scheduler
        await aeventually(lambda: scheduler._keyspace_since != "")
        with one_server.client() as client:
            client.flushall()
        scheduler._checked_ms = 0  # as if a minute had passed
        await aeventually(lambda: worker.producer.schedules.find("s"))


def test_bad_schedules_are_refused_where_they_are_declared(memory: str) -> None:
    worker = Worker(memory)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"cron": "61 * * * *"}, "schedule.cron must be"),
        ({"cron": "@daily", "timezone": "Mars/Olympus"}, "schedule.timezone must be"),
        ({"every": "0s"}, "schedule.every must be"),
        ({}, "either every or cron"),
        ({"every": "1h", "data": 1, "on_missed": "x"}, "schedule.on_missed must be"),
    ]
    for options, message in cases:
        with pytest.raises(UsageError, match=message):
            worker.schedule("s", anything, **options)
    with pytest.raises(ValidationError):
        worker.schedule("s", double, every="1h", data="no number")
    misspelt: dict[str, Any] = {"evry": "1h"}
    with pytest.raises(TypeError, match="no option 'evry'"):
        worker.schedule("s", double, **misspelt)
    bad: dict[str, Any] = {"schedule": "@daily"}
    with pytest.raises(UsageError, match="schedule must be"):
        worker.implement(double, _same, **bad)
    collecting = define_task("c", input=int, collect=Collect(key="k", delay="1s"))
    with pytest.raises(UsageError, match="collects"):
        worker.schedule("s", collecting, every="1h", data=1)
    worker.schedule("s", double, every="1h", data=1)
    with pytest.raises(UsageError, match="declared already"):
        worker.schedule("s", double, every="1h", data=1)


async def _same(data: int) -> int:
    return data


async def test_a_worker_that_runs_takes_no_more_schedules(memory: str) -> None:
    async with Worker(memory) as worker:
        with pytest.raises(UsageError, match="has started"):
            worker.schedule("s", anything, every="1h")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"poll_interval": 0}, "scheduler.poll_interval must be"),
        ({"lock_ttl": "soon"}, "scheduler.lock_ttl must be"),
        ({"poll_interval": "20s"}, "at least twice the poll_interval"),
    ],
)
def test_bad_settings_of_the_scheduler_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SchedulerConfig(**options)
