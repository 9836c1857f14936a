"""Schedules: what is declared, and the handles that triggers give."""

from dataclasses import dataclass
from typing import Any, assert_type

from taskora.contracts import Schedule, define_task
from taskora.producer import AsyncJobHandle, AsyncProducer, JobHandle, Producer, ScheduleInfo
from taskora.worker import Worker


@dataclass
class Report:
    pages: int


report = define_task("report", input=str, output=Report)
worker = Worker("redis://localhost")

worker.schedule("nightly", report, cron="0 3 * * *", timezone="Europe/Berlin", data="x", overlap=True)
worker.schedule("often", report, every=5, evry=3)  # E: mypy,pyright
worker.schedule("often", report, cron=5)  # E: mypy,pyright
Schedule(every="1m", overlap="yes")  # E: mypy,pyright


@worker.implement(report, schedule=Schedule(every="1h", data="x"))
async def handle(data: str) -> Report:
    return Report(len(data))


async def triggers(producer: AsyncProducer) -> None:
    assert_type(await producer.schedules.trigger("nightly", report), AsyncJobHandle[Report])
    assert_type(await producer.schedules.trigger("nightly"), AsyncJobHandle[Any])
    assert_type(await producer.schedules.find("nightly"), ScheduleInfo | None)
    await producer.schedules.update("nightly", every="1h", nothing=1)  # E: mypy,pyright


def blocking(producer: Producer) -> None:
    assert_type(producer.schedules.trigger("nightly", report), JobHandle[Report])
    assert_type(producer.schedules.list(), list[ScheduleInfo])
