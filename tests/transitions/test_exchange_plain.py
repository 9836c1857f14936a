"""exchange, of jobs that have nothing but what every record has: less is read of them, nothing else is different."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
import redis

from taskora.wire import Claim, Outcome, OutcomeKind
from tests.transitions.exchanges import (
    CANCEL_REQUESTED,
    COMPLETED,
    LOST,
    NEXT,
    REPEATED,
    RETRYING,
    SETTLED,
    TOKEN,
    exchange,
)
from tests.transitions.keyspace import MINUTE, NOW, Events, Expires, RawTask, Scores, Value, event, job

PLAIN: Final[Mapping[str, Value]] = {"j1": job(), "wait": ["j1"]}


@pytest.fixture
def task(redis_raw: redis.Redis) -> RawTask:
    """The raw keys of one task."""
    return RawTask(redis_raw)


def claim_of(task: RawTask, seed: Mapping[str, Value], *, max_version: int = 1) -> Claim:
    task.seed(seed)
    (claim,) = task.run(exchange(slots=1, token=TOKEN, max_version=max_version)).claims
    return claim


def end(kind: OutcomeKind = COMPLETED, *, token: str = TOKEN, job_id: str = "j1") -> Outcome:
    return Outcome(kind=kind, job_id=job_id, token=token, payload=b"7", plain=True)


def test_a_record_that_has_what_every_record_has_is_plain(task: RawTask) -> None:
    claim = claim_of(task, PLAIN)
    assert claim.plain
    assert claim == Claim(
        job_id="j1", token=TOKEN, data=b'{"n":1}', version=1, attempt=1, timestamp_ms=NOW - 1000, link=None
    )


@pytest.mark.parametrize(
    "more",
    [
        {"expireAt": NOW + 1},
        {"concurrencyKey": "k", "concurrencyLimit": 1},
        {"dedupKey": "taskora:{t}:dedup:k"},
        {"processedOn": NOW - 5},
        {"_wf": "w", "_wfNode": 0},
        {"delay": 5},
        {"attempt": 2},
        {"x": "of somebody else"},
    ],
)
def test_a_record_that_has_more_is_not(task: RawTask, more: dict[str, Any]) -> None:
    assert not claim_of(task, {"j1": job(**more), "wait": ["j1"]}).plain


def test_a_record_of_as_many_fields_that_are_others_is_not(task: RawTask) -> None:
    record = job(expireAt=NOW + 1000)
    del record["maxAttempts"]
    claim = claim_of(task, {"j1": record, "wait": ["j1"]})
    assert not claim.plain
    stored = task.read("j1")
    assert "expireAt" not in stored
    assert stored["py:before"] == f",{NOW + 1000}"


def test_a_plain_record_of_a_newer_version_is_left_for_newer_workers(task: RawTask) -> None:
    task.seed({"j1": job(_v=2), "wait": ["j1"]})
    assert not task.run(exchange(slots=1, max_version=1)).claims
    assert task.read("j1")["state"] == "delayed"


def test_a_plain_record_that_says_that_it_ended_does_not_start(task: RawTask) -> None:
    task.seed({"j1": job("cancelled"), "wait": ["j1"]})
    assert not task.run(exchange(slots=1)).claims


def test_a_plain_job_completes_like_any_other(task: RawTask) -> None:
    claim_of(task, PLAIN)
    assert task.run(exchange(end())).settlements == SETTLED
    assert task.dump() == {
        "j1": job("completed", processedOn=NOW, finishedOn=NOW, result="7"),
        "completed": Scores({"j1": NOW}),
        f"metrics:completed:{MINUTE}": Expires("1"),
        "events": Events([event("active", "j1", attempt=1), event("completed", "j1", attempt=1)]),
    }


def test_a_plain_job_that_was_cancelled_since_completes_as_others_do(task: RawTask) -> None:
    claim_of(task, PLAIN)
    task.client.hset("taskora:{t}:j1", mapping={"cancelledAt": NOW, "cancelReason": "why"})
    assert task.run(exchange(end(RETRYING))).settlements == CANCEL_REQUESTED
    assert task.run(exchange(end())).settlements == SETTLED
    assert task.read("j1")["state"] == "completed"


def test_the_hint_of_a_worker_does_not_make_it_holder_of_the_lease(task: RawTask) -> None:
    claim_of(task, PLAIN)
    before = task.dump()
    assert task.run(exchange(end(token=NEXT))).settlements == LOST
    assert task.run(exchange(end(token=""))).settlements == LOST
    assert task.run(exchange(end(token=NEXT), resend=True)).settlements == REPEATED
    assert task.dump() == before


def test_a_lease_that_is_gone_is_not_held_by_a_worker_without_a_token(task: RawTask) -> None:
    task.seed({"j1": job("active", processedOn=NOW), "active": ["j1"]})
    assert task.run(exchange(end(token=""))).settlements == LOST


def test_a_wrong_hint_costs_a_look_and_changes_nothing(task: RawTask) -> None:
    claim_of(task, {"j1": job(dedupKey="taskora:{t}:dedup:k"), "wait": ["j1"], "dedup:k": "j1"})
    assert task.run(exchange(end())).settlements == SETTLED
    assert task.read("dedup:k") is None


def test_a_plain_job_that_was_deleted_is_not_made_again(task: RawTask) -> None:
    claim_of(task, PLAIN)
    task.client.delete("taskora:{t}:j1")
    assert task.run(exchange(end())).settlements == LOST
    assert set(task.dump()) == {"events"}


def test_a_record_that_was_damaged_since_does_not_stop_the_others(task: RawTask) -> None:
    task.seed({"j1": job(), "j2": job(), "wait": ["j1", "j2"]})
    assert len(task.run(exchange(slots=2, token=TOKEN)).claims) == 2
    task.client.set("taskora:{t}:j1", "no hash")
    assert task.run(exchange(end(), end(job_id="j2"))).settlements == LOST + SETTLED


def test_an_outcome_that_is_told_twice_counts_once(task: RawTask) -> None:
    claim_of(task, PLAIN)
    assert task.run(exchange(end(), end())).settlements == SETTLED + LOST
    assert task.read(f"metrics:completed:{MINUTE}") == Expires("1")


@pytest.mark.parametrize(
    "ended", [["a"], ["c"], ["e"], ["a", "e"], ["e", "d"], ["b", "d"], ["d", "b", "a"], ["gone", "e"]]
)
def test_those_that_stay_active_keep_their_order(task: RawTask, ended: list[str]) -> None:
    running = ["a", "b", "c", "d", "e"]
    for job_id in {*running, *ended}:
        task.seed({job_id: job("active", processedOn=NOW), f"{job_id}:lock": Expires(TOKEN)})
    task.seed({"active": running})
    assert task.run(exchange(*[end(job_id=job_id) for job_id in ended])).settlements == SETTLED * len(ended)
    assert task.read("active") == [job_id for job_id in running if job_id not in ended]


@pytest.mark.parametrize("more", [{}, {"attempt": 2}])
def test_a_user_who_may_set_leases_with_set_alone_loses_no_job(task: RawTask, more: dict[str, Any]) -> None:
    client: Any = task.client
    client.execute_command("ACL", "SETUSER", "default", "-psetex")
    try:
        claim = claim_of(task, {"j1": job(**more), "wait": ["j1"]})
    finally:
        client.execute_command("ACL", "SETUSER", "default", "+psetex")
    assert claim.job_id == "j1"
    assert task.read("active") == ["j1"]
    assert task.read("j1:lock") == Expires(TOKEN)
