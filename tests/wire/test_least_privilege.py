"""Users of a server that may do what taskora needs, and nothing else; the guide has the same rules."""

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from redis.exceptions import NoPermissionError

from taskora.contracts import BackendError, JobCancelledError, Schedule, define_task
from taskora.producer import AsyncProducer
from taskora.wire import CountJobs
from taskora.wire.backends import open_backend
from taskora.worker import Context, SchedulerConfig, Worker
from tests.architecture.repository import ROOT
from tests.polling import aeventually
from tests.servers import Server

PASSWORD: Final = "p@ss/wörd:1"
ESCAPED: Final = "p%40ss%2Fw%C3%B6rd%3A1"
GUIDE: Final[Path] = ROOT / "docs/guides/backends.md"

double = define_task("double", input=int, output=int)
endless = define_task("endless", input=int)


def rule_of(user: str) -> list[str]:
    """What the guide says that a user may do."""
    (line,) = [line for line in GUIDE.read_text().splitlines() if line.startswith(f"ACL SETUSER {user} ")]
    words = line.split()[3:]
    return [f">{PASSWORD}" if word.startswith(">") else word for word in words]


def url_of(server: Server, user: str) -> str:
    return f"redis://{user}:{ESCAPED}@127.0.0.1:{server.port}/0"


@pytest.fixture
def users(server: Server, redis_raw: redis.Redis) -> Any:
    client: Any = redis_raw
    for user in ("producer", "worker"):
        client.execute_command("ACL", "SETUSER", user, "reset", *rule_of(user))
    client.execute_command("ACL", "LOG", "RESET")
    yield server
    for user in ("producer", "worker"):
        client.execute_command("ACL", "DELUSER", user)


@pytest.mark.parametrize("way", ["transport=fast", "transport=redis-py", "protocol=3"])
async def test_the_rules_of_the_guide_are_enough(users: Server, redis_raw: redis.Redis, way: str) -> None:
    ticks: list[int] = []
    worker = Worker(f"{url_of(users, 'worker')}?{way}", scheduler=SchedulerConfig(poll_interval="50ms"))
    worker.implement(double, lambda data: data * 2)
    worker.implement(define_task("tick", input=int), ticks.append, schedule=Schedule(every="100ms", data=1))

    @worker.implement(endless)
    async def run_on(data: int, ctx: Context) -> None:
        ctx.progress(data)
        ctx.log.info("runs")
        await asyncio.sleep(30)

    async with worker, AsyncProducer(f"{url_of(users, 'producer')}?{way}") as producer:
        jobs = await producer.register(double).dispatch_many(range(3))
        assert [await job.result(timeout="20s") for job in jobs] == [0, 2, 4]
        long = await producer.register(endless).dispatch(1)
        await aeventually(long.logs)
        await long.cancel()
        with pytest.raises(JobCancelledError):
            await long.result(timeout="20s")
        assert (await producer.inspector.stats())["double"].completed == 3
        await aeventually(lambda: ticks)
        assert [info.name for info in await producer.schedules.list()]
    client: Any = redis_raw
    refused = [entry[b"object"] for entry in client.execute_command("ACL", "LOG")]
    # Redis 6.2 does not have the command that names our library, and cannot be told to allow it.
    assert set(refused) <= ({b"client"} if users.version.startswith("6.2.") else set())


@pytest.mark.parametrize("user", ["producer", "worker"])
def test_the_rules_of_the_guide_allow_nothing_else(users: Server, user: str) -> None:
    with users.client(username=user, password=PASSWORD) as client:
        untyped: Any = client
        for command in (
            "KEYS *",
            "FLUSHALL",
            "CONFIG GET dir",
            "GET other",
            "SUBSCRIBE other",
            "CLIENT LIST",
            "ACL LIST",
        ):
            with pytest.raises(NoPermissionError):
                untyped.execute_command(*command.split())


async def test_a_user_that_may_not_even_run_scripts_is_told_so(users: Server, redis_raw: redis.Redis) -> None:
    client: Any = redis_raw
    client.execute_command("ACL", "SETUSER", "producer", "-evalsha")
    backend = open_backend(url_of(users, "producer"))
    with pytest.raises(BackendError, match=r"the user may not do this .*: extend its ACL"):
        await backend.run(CountJobs(task="t"))
    await backend.close()
