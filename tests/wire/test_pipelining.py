"""Threads send several commands at once, and each gets its own reply."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from taskora.contracts import BackendError
from taskora.wire import CountJobs, Enqueue, NewJob, ReadMigrationLock, ScanTasks, SyncBackend, run_together
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends import _sync_connections, open_sync_backend
from taskora.wire.backends._connection_factory import sync_factory
from taskora.wire.backends._requests import Request
from taskora.wire.backends._sync_connections import SyncPool
from tests.cluster.test_routing import TASKS, slot_of
from tests.servers import Cluster, Server
from tests.wire.scripted_server import Line, ScriptedServer

SOON_S = 10.0


class Batches:
    """Answers commands when as many have come as `size`: each with its last word, or as `says` has it."""

    def __init__(self, size: int, **says: bytes) -> None:
        self.size = size
        self.says = {word.encode(): reply for word, reply in says.items()}
        self.batches: list[list[bytes]] = []
        self.server = ScriptedServer(self._serve)

    async def _serve(self, line: Line) -> None:
        while True:
            words = [(await line.next())[-1] for _ in range(self.size)]
            self.batches.append(words)
            for word in words:
                reply = self.says.get(word, b"+%b\r\n" % word)
                if not reply:
                    await line.writer.drain()
                    line.hang_up()
                    return
                line.send(reply)


def say(word: str, timeout: float = SOON_S) -> Request:
    return Request(("ECHO", word), timeout)


async def asked(batches: Batches, *rounds: list[Request], redis_py: bool = False) -> list[list[Any]]:
    """What a pool gets, round after round."""
    async with batches.server.listening() as port:
        pool = SyncPool(sync_factory({"port": port}, redis_py=redis_py))
        try:
            return [await asyncio.to_thread(pool.request_all, requests) for requests in rounds]
        finally:
            pool.close()


@pytest.mark.parametrize("redis_py", [False, True], ids=["ours", "redis-py"])
async def test_all_are_written_before_the_first_reply_is_read(redis_py: bool) -> None:
    batches = Batches(3)
    replies = await asked(batches, [say("a"), say("b"), say("c")], redis_py=redis_py)
    assert replies == [[b"a", b"b", b"c"]]
    assert batches.batches == [[b"a", b"b", b"c"]]


async def test_many_are_written_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sync_connections, "MOST_TOGETHER", 2)
    batches = Batches(2)
    assert await asked(batches, [say(word) for word in "abcd"], []) == [[b"a", b"b", b"c", b"d"], []]
    assert batches.batches == [[b"a", b"b"], [b"c", b"d"]]


@pytest.mark.parametrize("redis_py", [False, True], ids=["ours", "redis-py"])
async def test_an_error_in_the_middle_is_the_reply_of_its_command_alone(redis_py: bool) -> None:
    batches = Batches(3, bad=b"-WRONGTYPE no\r\n")
    first, second = await asked(
        batches, [say("a"), say("bad"), say("c")], [say("d"), say("e"), say("f")], redis_py=redis_py
    )
    assert (first[0], type(first[1]), first[2]) == (b"a", redis_errors.ResponseError, b"c")
    assert second == [b"d", b"e", b"f"]
    assert len(batches.server.lines) == 1


async def test_a_server_that_changes_roles_is_left_after_the_last_reply() -> None:
    batches = Batches(2, bad=b"-READONLY no\r\n")
    first, second = await asked(batches, [say("bad"), say("b")], [say("c"), say("d")])
    assert (type(first[0]), first[1]) == (redis_errors.ReadOnlyError, b"b")
    assert second == [b"c", b"d"]
    assert len(batches.server.lines) == 2


@pytest.mark.parametrize("redis_py", [False, True], ids=["ours", "redis-py"])
async def test_a_connection_that_breaks_in_the_middle_keeps_what_was_answered(redis_py: bool) -> None:
    batches = Batches(4, cut=b"")
    first, second = await asked(
        batches, [say("a"), say("cut"), say("c"), say("d")], [say(word) for word in "wxyz"], redis_py=redis_py
    )
    assert first[0] == b"a"
    assert [type(reply) for reply in first[1:]] == [redis_errors.ConnectionError] * 3
    assert str(first[3]).startswith("the connection was given up: ")
    assert second == [b"w", b"x", b"y", b"z"]


@pytest.mark.parametrize("redis_py", [False, True], ids=["ours", "redis-py"])
async def test_a_server_that_falls_silent_in_the_middle_costs_one_deadline(redis_py: bool) -> None:
    batches = Batches(5, mute=b"$100\r\n")
    requests = [say("a"), say("mute", 0.05), *(say(word, 3600) for word in "cde")]
    ((first, second, *others),) = await asyncio.wait_for(asked(batches, requests, redis_py=redis_py), SOON_S)
    assert (first, type(second)) == (b"a", redis_errors.TimeoutError)
    assert [type(other) for other in others] == [redis_errors.ConnectionError] * 3


def enqueue(task: str, *job_ids: str) -> Enqueue:
    jobs = [NewJob(job_id=job_id, data=b"1") for job_id in job_ids]
    return Enqueue(task=task, version=1, max_attempts=1, jobs=jobs)


@pytest.fixture(params=["fast", "redis-py"])
def backend(server: Server, request: pytest.FixtureRequest) -> Iterator[SyncBackend]:
    with contextlib.closing(open_sync_backend(f"{server.url}?transport={request.param}")) as opened:
        yield opened


def test_operations_are_carried_out_together(backend: SyncBackend, redis_raw: redis.Redis) -> None:
    assert run_together(backend, []) == []
    assert run_together(backend, [enqueue("t", str(number)) for number in range(250)]) == [(True,)] * 250
    redis_raw.script_flush()
    lengths = [counts.waiting for counts in run_together(backend, [CountJobs(task="t"), CountJobs(task="u")])]
    assert lengths == [250, 0]


def test_operations_that_may_have_been_carried_out_are_repeated_and_take_effect_once(
    backend: SyncBackend, redis_raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.run(CountJobs(task="t"))
    carry_out = SyncPool.request_all

    def lose_replies(pool: SyncPool, requests: Any) -> list[Any]:
        replies = carry_out(pool, requests)
        return [replies[0], *(redis_errors.ConnectionError("lost") for _ in replies[1:])]

    monkeypatch.setattr(SyncPool, "request_all", lose_replies)
    assert run_together(backend, [enqueue("t", "a"), enqueue("t", "b"), enqueue("t", "c")]) == [(True,)] * 3
    assert redis_raw.llen("taskora:{t}:wait") == 3


def test_an_operation_that_fails_for_good_is_the_error_of_all(backend: SyncBackend, redis_raw: redis.Redis) -> None:
    redis_raw.set("taskora:{u}:wait", "no list")
    with pytest.raises(BackendError, match="WRONGTYPE"):
        run_together(backend, [CountJobs(task="t"), CountJobs(task="u"), CountJobs(task="v")])
    assert backend.run(CountJobs(task="t")).waiting == 0


@pytest.fixture
def of_cluster(cluster: Cluster) -> Iterator[SyncBackend]:
    cluster.flush()
    with contextlib.closing(open_sync_backend(cluster.url)) as opened:
        yield opened


def test_operations_go_to_the_servers_of_a_cluster_and_follow_a_slot_that_has_moved(
    cluster: Cluster, of_cluster: SyncBackend
) -> None:
    assert run_together(of_cluster, [enqueue(task, "a") for task in TASKS]) == [(True,)] * len(TASKS)
    with slot_of(cluster, "taskora:{moves}:wait") as slot:
        slot.give(slot.other)
        operations: list[Any] = [enqueue("moves", "a"), CountJobs(task=TASKS[0]), ReadMigrationLock(), ScanTasks()]
        moved, counts, lock, page = run_together(of_cluster, operations)
        assert (moved, counts.waiting, lock, len(page.tasks) > 0) == ((True,), 1, b"", True)


def test_what_a_lost_server_of_a_cluster_did_not_answer_is_asked_for_again(
    of_cluster: SyncBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_cluster.run(CountJobs(task="t"))
    opened: Any = of_cluster
    slots = opened.target._cluster.slots
    known = slots.generation

    def break_all(_pool: SyncPool, requests: Any) -> list[Any]:
        return [redis_errors.ConnectionError("gone")] * len(requests)

    monkeypatch.setattr(SyncPool, "request_all", break_all)
    assert [counts.waiting for counts in run_together(of_cluster, [CountJobs(task=task) for task in TASKS])] == [0] * 12
    assert slots.generation > known
