"""Schedules as other programs of wire version 6 write them, by raw commands, carried on by us."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from taskora.producer import AsyncProducer
from taskora.worker import SchedulerConfig, Worker
from tests.polling import aeventually

EVERY = (
    '{"task":"rep","overlap":false,"onMissed":"skip","data":{"kind":"x"},"every":60000,'
    '"lastJobId":"dda961af-0000-4000-8000-000000000000","lastRun":1795299711676}'
)
CRON = '{"task":"rep","overlap":true,"onMissed":"skip","cron":"0 9 * * MON-FRI","timezone":"America/New_York"}'
BROKEN = '{"task":"rep","every":'


@pytest.fixture
async def scheduler(redis_raw: redis.Redis, server: Any) -> AsyncIterator[Worker]:
    client: Any = redis_raw
    client.hset("taskora:schedules", mapping={"every5": EVERY, "cronny": CRON, "broken": BROKEN, "paused": EVERY})
    client.zadd("taskora:schedules:next", {"broken": 1, "every5": 2, "cronny": 1795442400000})
    async with Worker(server.url, scheduler=SchedulerConfig(poll_interval="50ms")) as worker:
        yield worker


async def test_a_schedule_of_a_task_that_we_do_not_know_runs_and_stays(
    scheduler: Worker, redis_raw: redis.Redis
) -> None:
    client: Any = redis_raw
    waiting: Any = await aeventually(lambda: client.lrange("taskora:{rep}:wait", 0, -1))
    (job_id,) = waiting
    job = client.hgetall(b"taskora:{rep}:" + job_id)
    assert (json.loads(job[b"data"]), job[b"_v"], job[b"state"]) == ({"kind": "x"}, b"1", b"waiting")
    stored: Any = await aeventually(lambda: _ran(client, job_id.decode()))
    assert [*stored][:7] == ["task", "overlap", "onMissed", "data", "every", "lastJobId", "lastRun"]
    due_ms: Any = await aeventually(lambda: _planned(client, stored["lastRun"]))
    assert 0 < due_ms - stored["lastRun"] <= 60_000


def _ran(client: Any, job_id: str) -> dict[str, Any] | None:
    body: dict[str, Any] = json.loads(client.hget("taskora:schedules", "every5"))
    return body if body.get("lastJobId") == job_id else None


def _planned(client: Any, after_ms: int) -> int:
    """When it is due, once the claim of 30 seconds has become a plan."""
    due_ms = int(client.zscore("taskora:schedules:next", "every5"))
    return due_ms if (due_ms - 1795299711676) % 60_000 == 0 and due_ms > after_ms else 0


async def test_what_we_cannot_read_and_what_they_paused_is_shown_and_left_alone(
    scheduler: Worker, redis_raw: redis.Redis
) -> None:
    client: Any = redis_raw
    await aeventually(lambda: client.lrange("taskora:{rep}:wait", 0, -1))
    producer: AsyncProducer = scheduler.producer
    infos = {info.name: info for info in await producer.schedules.list()}
    assert infos["cronny"].next_runs(1)[0].isoformat() == "2026-11-23T09:00:00-05:00"
    assert infos["broken"].problem is not None
    assert (infos["paused"].paused, infos["paused"].next_run) == (True, None)
    assert client.hget("taskora:schedules", "broken") == BROKEN.encode()
    assert client.zscore("taskora:schedules:next", "paused") is None


async def test_a_leader_of_theirs_is_respected(redis_raw: redis.Redis, server: Any) -> None:
    client: Any = redis_raw
    client.set("taskora:schedules:lock", "theirs", px=60_000)
    client.hset("taskora:schedules", "every5", EVERY)
    client.zadd("taskora:schedules:next", {"every5": 2})
    async with Worker(server.url, scheduler=SchedulerConfig(poll_interval="50ms")) as worker:
        assert worker._runtime is not None
        scheduler: Any = worker._runtime._scheduler
        await scheduler.tick()
        assert client.zscore("taskora:schedules:next", "every5") == 2
    assert client.get("taskora:schedules:lock") == b"theirs"
