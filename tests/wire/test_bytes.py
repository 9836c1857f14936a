"""What we leave in the server, against dumps of what another implementation of wire version 6 leaves.

The dumps are data: key names, fields in their order, scores. Events may hold more fields than the dump, behind those
it has.
"""

from typing import Any, Final

import pytest
import redis

from taskora.wire import (
    Cancel,
    Control,
    ControlledJob,
    Enqueue,
    EnqueueControlled,
    Exchange,
    NewJob,
    Operation,
    Outcome,
    OutcomeKind,
    PushCollect,
)
from tests.transitions.keyspace import Dump, Events, Expires, RawTask, Scores

P: Final = "taskora:{send-email}:"
DATA: Final = '{"to":"a@b.c","subject":"Привет 😀/…"}'


@pytest.fixture
def task(redis_raw: redis.Redis) -> RawTask:
    return RawTask(redis_raw)


def enqueue(task: str, job_id: str, data: str, **options: int) -> Enqueue:
    job = NewJob(job_id=job_id, data=data.encode(), **options)
    return Enqueue(task=task, version=1, max_attempts=3, jobs=[job])


def exchange(*outcomes: Outcome, token: str, slots: int = 0) -> Exchange:
    return Exchange(task="t", token=token, lease_ms=30_000, slots=slots, outcomes=outcomes)


def same(task: RawTask, expected: Dump) -> None:
    """Compares every key with the dump; hashes in order, events up to the fields the dump has."""
    dump = task.dump()
    assert sorted(dump) == sorted(expected)
    for name, wanted in expected.items():
        found: Any = dump[name]
        if isinstance(wanted, Events):
            found = Events(flat[: len(other)] for flat, other in zip(found, wanted, strict=True))
        assert found == wanted
        assert isinstance(wanted, Expires) or list(found) == list(wanted)


def at(task: RawTask, now_ms: int, *operations: Operation[Any]) -> None:
    for operation in operations:
        task.run(operation, now_ms=now_ms)


def test_a_job_enqueued_now(task: RawTask) -> None:
    job_id = "e0f31af9-bd46-4136-92b6-403bf09d7850"
    at(task, 1795299649969, enqueue("send-email", job_id, DATA))
    same(
        task,
        {
            P + job_id: {
                "ts": "1795299649969",
                "_v": "1",
                "attempt": "1",
                "maxAttempts": "3",
                "state": "waiting",
                "priority": "0",
                "data": DATA,
            },
            P + "wait": [job_id],
            P + "marker": Scores({"0": 0}),
            P + "events": Events([["event", "waiting", "jobId", job_id]]),
        },
    )


def test_a_job_with_a_priority_and_a_time_to_live(task: RawTask) -> None:
    job_id = "2b0c7e4c-6d1e-4f0a-9d43-5b0e3a1c9f77"
    at(task, 1795299650105, enqueue("send-email", job_id, "1", priority=5, ttl_ms=300_000))
    same(
        task,
        {
            P + job_id: {
                "ts": "1795299650105",
                "_v": "1",
                "attempt": "1",
                "maxAttempts": "3",
                "state": "waiting",
                "priority": "5",
                "data": "1",
                "expireAt": "1795299950105",
            },
            P + "prioritized": Scores({job_id: -48204700349895}),
            P + "marker": Scores({"0": 0}),
            P + "events": Events([["event", "waiting", "jobId", job_id]]),
        },
    )


def test_a_delayed_job(task: RawTask) -> None:
    job_id = "8fca26d2-0000-4000-8000-000000000000"
    at(task, 1795299650037, enqueue("send-email", job_id, "1", delay_ms=60_000))
    dump = task.dump()
    assert dump[P + "delayed"] == Scores({job_id: 1795299710037})
    assert dump[P + "marker"] == Scores({"0": 1795299710037})
    assert dump[P + "events"] == Events([["event", "delayed", "jobId", job_id]])
    record: Any = dump[P + job_id]
    assert (record["delay"], record["state"]) == ("60000", "delayed")


def test_a_job_that_is_tried_again(task: RawTask) -> None:
    outcome = Outcome(kind=OutcomeKind.RETRYING, job_id="j4", token="tok-1", payload=b"boom", delay_ms=1500)
    at(task, 1795299652000, enqueue("t", "j4", "1"), exchange(token="tok-1", slots=1))
    at(task, 1795299652107, exchange(outcome, token="tok-2"))
    dump = task.dump()
    record: Any = dump["j4"]
    assert (record["state"], record["attempt"], record["error"]) == ("retrying", "2", "boom")
    assert "finishedOn" not in record
    assert dump["delayed"] == Scores({"j4": 1795299653607})
    events: Any = dump["events"]
    expected = ["event", "retrying", "jobId", "j4", "attempt", "2", "nextAttemptAt", "1795299653607"]
    assert events[-1][: len(expected)] == expected


def test_a_job_that_failed_for_good(task: RawTask) -> None:
    task.seed({"j4": {"data": "1", "_v": "1", "attempt": "2", "state": "waiting"}, "wait": ["j4"]})
    outcome = Outcome(kind=OutcomeKind.FAILED, job_id="j4", token="tok-1", payload=b"final boom")
    at(task, 1795299653700, exchange(token="tok-1", slots=1))
    at(task, 1795299653767, exchange(outcome, token="tok-2"))
    dump = task.dump()
    record: Any = dump["j4"]
    expected = ("failed", "2", "final boom", "1795299653767")
    assert (record["state"], record["attempt"], record["error"], record["finishedOn"]) == expected
    assert dump["failed"] == Scores({"j4": 1795299653767})
    events: Any = dump["events"]
    assert events[-1][:4] == ["event", "failed", "jobId", "j4"]
    assert dump["metrics:failed:1795299600000"] == Expires("1")


def test_a_job_completed_and_the_next_claimed(task: RawTask) -> None:
    at(task, 1795299651600, enqueue("t", "j1", "1"), enqueue("t", "j2", "2"))
    at(task, 1795299651671, exchange(token="tok-1", slots=1))
    outcome = Outcome(kind=OutcomeKind.COMPLETED, job_id="j1", token="tok-1", payload=b'{"ok":true}')
    at(task, 1795299651772, exchange(outcome, token="tok-2", slots=1))
    record = {"ts": "1795299651600", "_v": "1", "attempt": "1", "maxAttempts": "3"}
    same(
        task,
        {
            "active": ["j2"],
            "j2:lock": Expires("tok-2"),
            "j1": {
                **record,
                "state": "completed",
                "priority": "0",
                "data": "1",
                "processedOn": "1795299651671",
                "finishedOn": "1795299651772",
                "result": '{"ok":true}',
            },
            "j2": {**record, "state": "active", "priority": "0", "data": "2", "processedOn": "1795299651772"},
            "completed": Scores({"j1": 1795299651772}),
            "metrics:completed:1795299600000": Expires("1"),
            "marker": Scores({"0": 0}),
            "events": Events(
                [
                    ["event", "waiting", "jobId", "j1"],
                    ["event", "waiting", "jobId", "j2"],
                    ["event", "active", "jobId", "j1"],
                    ["event", "completed", "jobId", "j1"],
                    ["event", "active", "jobId", "j2"],
                ]
            ),
        },
    )
    assert 29_000 < task.lifetime_ms("j2:lock") <= 30_000
    assert 86_390_000 < task.lifetime_ms("metrics:completed:1795299600000") <= 86_400_000


def test_a_cancelled_delayed_job(task: RawTask) -> None:
    at(task, 1795299709000, enqueue("t", "dd", "1", delay_ms=60_000))
    at(task, 1795299709834, Cancel(task="t", job_id="dd"))
    dump = task.dump()
    events: Any = dump["events"]
    assert events[-1] == ["event", "cancelled", "jobId", "dd", "reason", ""]
    assert dump["cancelled"] == Scores({"dd": 1795299709834})


def test_an_active_job_that_is_asked_to_stop(task: RawTask) -> None:
    at(task, 1795299709000, enqueue("t", "ac", "1"), exchange(token="tok-1", slots=1))
    at(task, 1795299709834, Cancel(task="t", job_id="ac"))
    record: Any = task.read("ac")
    assert (record["state"], record["cancelledAt"]) == ("active", "1795299709834")
    assert "cancelReason" not in record


def controlled(task: str, job_id: str, **options: Any) -> EnqueueControlled:
    job = NewJob(job_id=job_id, data=b"1", **options.pop("job", {}))
    return EnqueueControlled(task=task, version=1, max_attempts=3, jobs=[ControlledJob(job=job, **options)])


def test_a_job_with_a_concurrency_key(task: RawTask) -> None:
    options = {"priority": 5, "ttl_ms": 300_000}
    at(task, 1795299650105, controlled("send-email", "j1", job=options, concurrency_key="org:a", concurrency_limit=2))
    dump = task.dump()
    record: Any = dump[P + "j1"]
    assert {"expireAt", "concurrencyKey", "concurrencyLimit"} <= set(record)
    assert (record["expireAt"], record["concurrencyKey"], record["concurrencyLimit"]) == ("1795299950105", "org:a", "2")
    assert dump[P + "prioritized"] == Scores({"j1": -48204700349895})


def test_a_debounced_job_that_was_replaced(task: RawTask) -> None:
    old, new = "133596c6-0000-4000-8000-000000000000", "396bb4b7-0000-4000-8000-000000000000"
    for now_ms, job_id in ((1795299650200, old), (1795299650210, new)):
        at(task, now_ms, controlled("d", job_id, control=Control.DEBOUNCE, key="user:1", period_ms=2000))
    dump = task.dump()
    assert dump["taskora:{d}:debounce:user:1"] == Expires(new)
    assert dump["taskora:{d}:delayed"] == Scores({new: 1795299652210})
    assert "taskora:{d}:" + old not in dump
    assert dump["taskora:{d}:events"] == Events(
        [
            ["event", "delayed", "jobId", old],
            ["event", "debounced", "jobId", old, "replacedBy", new],
            ["event", "delayed", "jobId", new],
        ]
    )


def test_a_throttle_counter(task: RawTask) -> None:
    for job_id in ("j1", "j2", "j3"):
        at(task, 1795299650300, controlled("r", job_id, control=Control.THROTTLE, key="k", amount=2, period_ms=10_000))
    dump = task.dump()
    assert dump["taskora:{r}:throttle:k"] == Expires("2")
    assert dump["taskora:{r}:wait"] == ["j2", "j1"]


def test_a_deduplicated_job(task: RawTask) -> None:
    at(task, 1795299650400, controlled("u", "j1", control=Control.DEDUPLICATE, key="k"))
    dump = task.dump()
    assert dump["taskora:{u}:dedup:k"] == "j1"
    record: Any = dump["taskora:{u}:j1"]
    assert record["dedupKey"] == "taskora:{u}:dedup:k"


def test_a_batch_in_the_making(task: RawTask) -> None:
    ids = ["0f3c5a10-0000-4000-8000-000000000000", "10b13701-0000-4000-8000-000000000000"]
    for number, (now_ms, job_id) in enumerate(zip((1795299708864, 1795299708890), ids, strict=True), start=1):
        item = f'{{"g":"a","n":{number}}}'.encode()
        push = PushCollect(
            task="c", version=1, max_attempts=1, job_id=job_id, key="a", item=item, delay_ms=30_000, max_wait_ms=60_000
        )
        at(task, now_ms, push)
    dump = task.dump(without=[f"taskora:{{c}}:sent:{job_id}" for job_id in ids])
    assert dump == {
        "taskora:{c}:collect:a:items": ['{"g":"a","n":1}', '{"g":"a","n":2}'],
        "taskora:{c}:collect:a:meta": {"count": "2", "lastAt": "1795299708890", "firstAt": "1795299708864"},
        "taskora:{c}:collect:a:job": Expires(ids[1]),
        f"taskora:{{c}}:{ids[1]}": {
            "ts": "1795299708890",
            "_v": "1",
            "attempt": "1",
            "maxAttempts": "1",
            "state": "delayed",
            "collectKey": "a",
            "data": "[]",
        },
        "taskora:{c}:delayed": Scores({ids[1]: 1795299738890}),
        "taskora:{c}:marker": Scores({"0": 1795299738864}),
        "taskora:{c}:events": Events(
            [
                ["event", "collect", "jobId", ids[0], "count", "1", "key", "a"],
                ["event", "collect", "jobId", ids[1], "count", "2", "key", "a"],
            ]
        ),
    }
