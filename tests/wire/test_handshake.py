"""Meeting a keyspace: what is asked, in which order, and what is written."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from taskora.contracts import BackendError, WireVersionError
from taskora.wire import (
    CountJobs,
    Handshake,
    Pause,
    ReadMigrationLock,
    StoredMeta,
    SyncBackend,
    drive,
    handshake,
)
from taskora.wire._handshake import concerns_us
from taskora.wire.backends import open_backend, open_sync_backend
from tests.servers import Server

GOOD = StoredMeta(wire_version="6", min_compat="6", written_by="taskora-wire-6", written_at="1")
Open = Callable[..., SyncBackend]


def lock(target: object) -> bytes:
    body = {"by": "taskora-wire-7", "reason": "wireVersion-6-to-7", "startedAt": 1, "targetWireVersion": target}
    return json.dumps(body).encode()


@pytest.fixture
def open_sync(server: Server) -> Iterator[Open]:
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> SyncBackend:
            backend = open_sync_backend(server.url, **options)
            stack.callback(backend.close)
            return backend

        yield make


def test_a_free_keyspace_is_met_in_two_questions() -> None:
    flow = handshake()
    assert next(flow) == ReadMigrationLock()
    assert isinstance(flow.send(b""), Handshake)
    with pytest.raises(StopIteration):
        flow.send(GOOD)


def test_a_lock_for_an_older_version_is_ignored() -> None:
    flow = handshake()
    next(flow)
    assert isinstance(flow.send(lock(5)), Handshake)


@pytest.mark.parametrize("target", [6, 7])
def test_a_lock_for_our_version_or_a_newer_one_is_waited_for(target: int) -> None:
    flow = handshake()
    next(flow)
    for _ in range(3):
        assert flow.send(lock(target)) == Pause(0.5)
        assert flow.send(None) == ReadMigrationLock()
    assert isinstance(flow.send(b""), Handshake)


def test_a_lock_that_stays_is_an_error_after_half_a_minute() -> None:
    pauses: list[float] = []

    def perform(step: object) -> bytes | None:
        if not isinstance(step, Pause):
            return lock(7)
        pauses.append(step.seconds)
        return None

    with pytest.raises(BackendError, match=r"locked for a migration for 30s: .*delete the lock"):
        drive(handshake(), perform)
    assert sum(pauses) == 30


@pytest.mark.parametrize(
    ("raw", "concerns"),
    [
        (b"", False),
        (lock(5), False),
        (lock(6), True),
        (lock(None), True),
        (lock("7"), True),
        (lock(True), True),
        (lock(5.5), True),
        (b"{}", True),
        (b"[]", True),
        (b"null", True),
        (b"not JSON", True),
        (b"\xff\xfe", True),
    ],
)
def test_a_lock_whose_target_cannot_be_read_concerns_everybody(raw: bytes, concerns: bool) -> None:
    assert concerns_us(raw) is concerns


def test_the_first_backend_writes_the_record(redis_raw: redis.Redis, open_sync: Open) -> None:
    open_sync().run(CountJobs(task="t"))
    meta: Any = redis_raw.hgetall("taskora:meta")
    assert list(meta) == [b"wireVersion", b"minCompat", b"writtenBy", b"writtenAt"]
    assert list(meta.values())[:3] == [b"6", b"6", b"taskora-wire-6"]
    assert len(meta[b"writtenAt"]) == 13


def test_a_second_backend_leaves_the_record_as_it_is(redis_raw: redis.Redis, open_sync: Open) -> None:
    record: dict[Any, Any] = {
        "wireVersion": "6",
        "minCompat": "6",
        "writtenBy": "taskora-wire-6",
        "writtenAt": "1795299649949",
    }
    redis_raw.hset("taskora:meta", mapping=record)
    open_sync().run(CountJobs(task="t"))
    assert redis_raw.hgetall("taskora:meta") == {k.encode(): v.encode() for k, v in record.items()}


def test_each_prefix_has_a_record_of_its_own(redis_raw: redis.Redis, open_sync: Open) -> None:
    open_sync(prefix="tenant-a").run(CountJobs(task="t"))
    assert redis_raw.keys("*") == [b"taskora:tenant-a:meta"]
    redis_raw.hset("taskora:meta", mapping={"wireVersion": "99", "minCompat": "99"})
    open_sync(prefix="tenant-b").run(CountJobs(task="t"))


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"wireVersion": "99", "minCompat": "99", "writtenBy": "them"}, "theirs_too_new"),
        ({"wireVersion": "5", "minCompat": "5", "writtenBy": "them"}, "theirs_too_old"),
        ({"wireVersion": "6", "minCompat": "7"}, "invalid_meta"),
        ({"writtenBy": "them"}, "invalid_meta"),
    ],
)
def test_a_refusal_writes_nothing(redis_raw: redis.Redis, open_sync: Open, record: dict[Any, Any], code: str) -> None:
    redis_raw.hset("taskora:meta", mapping=record)
    with pytest.raises(WireVersionError) as caught:
        open_sync().run(CountJobs(task="t"))
    assert caught.value.code == code
    assert redis_raw.keys("*") == [b"taskora:meta"]
    assert redis_raw.hgetall("taskora:meta") == {k.encode(): v.encode() for k, v in record.items()}


def test_a_backend_that_was_refused_works_once_the_record_is_repaired(redis_raw: redis.Redis, open_sync: Open) -> None:
    redis_raw.hset("taskora:meta", mapping={"wireVersion": "99", "minCompat": "99"})
    backend = open_sync()
    for _ in range(2):
        with pytest.raises(WireVersionError):
            backend.run(CountJobs(task="t"))
    redis_raw.delete("taskora:meta")
    assert backend.run(CountJobs(task="t")).waiting == 0


async def test_the_asyncio_backend_meets_the_keyspace_the_same_way(server: Server, redis_raw: redis.Redis) -> None:
    backend = open_backend(server.url)
    redis_raw.hset("taskora:meta", mapping={"wireVersion": "99", "minCompat": "99"})
    with pytest.raises(WireVersionError):
        await backend.run(CountJobs(task="t"))
    redis_raw.delete("taskora:meta")
    await backend.run(CountJobs(task="t"))
    assert redis_raw.hget("taskora:meta", "writtenBy") == b"taskora-wire-6"
    await backend.close()
