"""Many tasks wait for work over few connections."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest
import redis

from taskora.contracts import BackendError
from taskora.wire import Backend, CountJobs, Enqueue, Keyspace, NewJob, random_id
from taskora.wire.backends import _wake_ups, open_backend
from tests.polling import aeventually, eventually
from tests.servers import Server

LONG_MS = 30_000
SOON_S = 10.0
MANY = 40


def task(number: int) -> str:
    return f"t{number}"


def enqueue(number: int) -> Enqueue:
    return Enqueue(task=task(number), version=1, max_attempts=1, jobs=[NewJob(job_id=random_id(), data=b"1")])


def marker(client: Any, number: int) -> list[tuple[bytes, float]]:
    found: list[tuple[bytes, float]] = client.zrange(Keyspace().task(task(number)).marker_key, 0, -1, withscores=True)
    return found


def blocked(client: Any) -> list[dict[str, str]]:
    return [row for row in client.client_list() if row["cmd"] == "bzpopmin" and "b" in row["flags"]]


@pytest.fixture(params=["fast", "redis-py"])
async def backend(server: Server, request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    opened = open_backend(server.url, transport=request.param)
    yield opened
    await opened.close()


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait shares the one connection."""
    monkeypatch.setattr(_wake_ups, "OWN_CONNECTIONS", 0)


def wait(backend: Backend, number: int, timeout_ms: int = LONG_MS) -> "asyncio.Task[None]":
    return asyncio.create_task(backend.wait_for_work(task(number), timeout_ms=timeout_ms, now_ms=0))


async def all_blocked(client: Any, backend: Backend, numbers: range) -> None:
    """Until one command blocks on all of these keys."""
    waits: Any = getattr(backend, "target", backend)
    keys = {Keyspace().task(task(number)).marker_key for number in numbers}
    await aeventually(lambda: keys <= waits._wake_ups._shared._blocked_on and blocked(client))


async def test_many_tasks_wait_over_a_few_connections_and_each_hears_of_its_own_work(
    backend: Backend, redis_raw: redis.Redis
) -> None:
    waits = [wait(backend, number) for number in range(MANY)]
    await all_blocked(redis_raw, backend, range(_wake_ups.OWN_CONNECTIONS, MANY))
    await aeventually(lambda: len(blocked(redis_raw)) == _wake_ups.OWN_CONNECTIONS + 1)
    for number in reversed(range(MANY)):
        await backend.run(enqueue(number))
        await asyncio.wait_for(waits[number], SOON_S)
        assert not any(other.done() for other in waits[:number])


@pytest.mark.parametrize("timeout_ms", [0, 1, 2])
async def test_a_short_wait_ends(backend: Backend, timeout_ms: int) -> None:
    for _ in range(3):
        await asyncio.wait_for(wait(backend, 0, timeout_ms), SOON_S)


@pytest.mark.usefixtures("shared")
async def test_a_task_that_comes_later_is_heard_too(backend: Backend, redis_raw: redis.Redis) -> None:
    first = wait(backend, 0)
    await all_blocked(redis_raw, backend, range(1))
    later = [wait(backend, number) for number in range(1, 10)]
    await all_blocked(redis_raw, backend, range(10))
    await backend.run(enqueue(9))
    await asyncio.wait_for(later[-1], SOON_S)
    await backend.run(enqueue(0))
    await asyncio.wait_for(first, SOON_S)
    assert [row["cmd"] for row in blocked(redis_raw)] in ([], ["bzpopmin"])
    for other in later:
        other.cancel()


@pytest.mark.usefixtures("shared")
async def test_a_task_that_waits_again_keeps_its_place(backend: Backend, redis_raw: redis.Redis) -> None:
    other = wait(backend, 0)
    for _ in range(3):
        waiting = wait(backend, 1)
        await all_blocked(redis_raw, backend, range(2))
        await backend.run(enqueue(1))
        await asyncio.wait_for(waiting, SOON_S)
    other.cancel()


@pytest.mark.usefixtures("shared")
async def test_a_token_for_a_task_that_has_left_is_put_back(backend: Backend, redis_raw: redis.Redis) -> None:
    left, other = wait(backend, 0), wait(backend, 1)
    await all_blocked(redis_raw, backend, range(2))
    left.cancel()
    await asyncio.wait({left})
    await backend.run(enqueue(0))
    await aeventually(lambda: marker(redis_raw, 0) == [(b"0", 0.0)])
    await backend.run(enqueue(1))
    await asyncio.wait_for(other, SOON_S)


async def test_a_long_wait_is_many_short_blocks(
    backend: Backend, redis_raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_wake_ups, "LONGEST_BLOCK_MS", 20)
    waits = [wait(backend, number) for number in range(_wake_ups.OWN_CONNECTIONS + 2)]

    def blocks() -> int:
        stats: Any = redis_raw.info("commandstats")
        return int(stats.get("cmdstat_bzpopmin", {"calls": 0})["calls"])

    await aeventually(lambda: blocks() > 3 * len(waits))
    assert not any(waiting.done() for waiting in waits)
    for number, waiting in enumerate(waits):
        await backend.run(enqueue(number))
        await asyncio.wait_for(waiting, SOON_S)


@pytest.mark.usefixtures("shared")
async def test_a_wait_ends_when_its_time_is_over_and_the_others_go_on(backend: Backend, redis_raw: redis.Redis) -> None:
    other = wait(backend, 0)
    await asyncio.wait_for(wait(backend, 1, timeout_ms=20), SOON_S)
    assert not other.done()
    await backend.run(enqueue(0))
    await asyncio.wait_for(other, SOON_S)


@pytest.mark.usefixtures("shared")
async def test_two_waits_for_one_task_take_a_token_each(backend: Backend, redis_raw: redis.Redis) -> None:
    waits = [wait(backend, 0), wait(backend, 0)]
    await all_blocked(redis_raw, backend, range(1))
    await backend.run(enqueue(0))
    done, left = await asyncio.wait(waits, timeout=SOON_S, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(left)) == (1, 1)
    await backend.run(enqueue(0))
    await asyncio.wait_for(left.pop(), SOON_S)


@pytest.mark.usefixtures("shared")
async def test_all_waits_hear_of_a_connection_that_was_cut(backend: Backend, redis_raw: redis.Redis) -> None:
    waits = [wait(backend, number) for number in range(3)]
    await all_blocked(redis_raw, backend, range(3))
    client: Any = redis_raw
    for row in blocked(redis_raw):
        client.execute_command("CLIENT", "KILL", "ID", row["id"])
    for waiting in waits:
        with pytest.raises(BackendError, match="cannot be reached"):
            await asyncio.wait_for(waiting, SOON_S)
    again = wait(backend, 0)
    await backend.run(enqueue(0))
    await asyncio.wait_for(again, SOON_S)


@pytest.mark.usefixtures("shared")
async def test_closing_ends_all_waits(backend: Backend, redis_raw: redis.Redis) -> None:
    waits = [wait(backend, number) for number in range(3)]
    await all_blocked(redis_raw, backend, range(3))
    await backend.close()
    for waiting in waits:
        with pytest.raises(BackendError):
            await asyncio.wait_for(waiting, SOON_S)


@pytest.fixture
def modest(server: Server, redis_raw: redis.Redis, request: pytest.FixtureRequest) -> Iterator[str]:
    """A user that may not do everything."""
    client: Any = redis_raw
    client.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">pw", "+@all", "~*", "&*", *request.param)
    yield f"redis://bob:pw@127.0.0.1:{server.port}/0"
    client.execute_command("ACL", "DELUSER", "bob")


def _ended_or_blocked(waiting: "asyncio.Task[None]", client: redis.Redis) -> bool:
    return waiting.done() or bool(blocked(client))


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(
    "modest",
    [["-client", "+client|unblock"], ["-client", "+client|id"]],
    indirect=True,
    ids=["no-id", "no-unblock"],
)
async def test_who_may_not_be_unblocked_waits_over_connections_of_its_own(modest: str, redis_raw: redis.Redis) -> None:
    backend = open_backend(modest)
    await backend.run(CountJobs(task="t"))
    for _ in range(3):  # the first ones may end early, and for nothing
        first = wait(backend, 0)
        await aeventually(partial(_ended_or_blocked, first, redis_raw))
        second = wait(backend, 1)
        await backend.run(enqueue(1))
        await asyncio.wait_for(second, SOON_S)
        await backend.run(enqueue(0))
        await asyncio.wait_for(first, SOON_S)
    await backend.close()
    eventually(lambda: blocked(redis_raw) == [])
