"""exchange: who may settle a job, and what a late, repeated or hopeless call does."""

from typing import Any

import pytest
from redis.exceptions import ResponseError

from taskora.wire import OutcomeKind, Settlement
from tests.transitions.exchanges import (
    CANCEL_REQUESTED,
    COMPLETED,
    FAILED,
    LOST,
    NEXT,
    RELEASED,
    REPEATED,
    RETRYING,
    SETTLED,
    TOKEN,
    claim,
    claimed,
    ended,
    exchange,
)
from tests.transitions.keyspace import NOW, Dump, Expires, RawTask, Scores, job

EVERY = pytest.mark.parametrize("kind", OutcomeKind)


@EVERY
@pytest.mark.parametrize("owner", ["somebody-else", None])
def test_a_late_outcome_is_refused_and_changes_nothing(task: RawTask, kind: OutcomeKind, owner: str | None) -> None:
    task.seed({**claimed(token=owner or "gone"), "stalled": {"j1"}})
    if owner is None:
        task.client.delete("taskora:{t}:j1:lock")
    before = task.dump()
    assert task.run(exchange(ended(kind, b"late"))).settlements == LOST
    assert task.dump() == before


def test_an_outcome_of_a_job_nobody_knows_is_refused(task: RawTask) -> None:
    assert task.run(exchange(ended(COMPLETED, b"1", job_id="never"))).settlements == LOST
    assert task.dump() == {}


def test_each_outcome_of_a_call_is_judged_by_itself(task: RawTask) -> None:
    task.seed(claimed())
    outcomes = (ended(COMPLETED, job_id="gone"), ended(COMPLETED), ended(FAILED, job_id="away"))
    assert task.run(exchange(*outcomes)).settlements == (
        Settlement.LOST,
        Settlement.SETTLED,
        Settlement.LOST,
    )


@EVERY
def test_a_second_outcome_of_the_same_claim_is_refused(task: RawTask, kind: OutcomeKind) -> None:
    task.seed({**claimed(concurrencyKey="org", concurrencyLimit=5), "conc:org": "3"})
    reply = task.run(exchange(ended(COMPLETED, b"1"), ended(kind, b"2", delay_ms=5)))
    assert reply.settlements == (Settlement.SETTLED, Settlement.LOST)
    assert task.read("j1")["result"] == "1"
    assert task.read("conc:org") == "2"


@EVERY
def test_a_repeated_call_finds_its_outcome_settled(task: RawTask, kind: OutcomeKind) -> None:
    task.seed({**claimed(concurrencyKey="org", concurrencyLimit=5), "conc:org": "3"})
    request = exchange(ended(kind, b"1", delay_ms=500))
    assert task.run(request).settlements == SETTLED
    before = task.dump()
    assert task.run(request.again()).settlements == REPEATED
    assert task.dump() == before


def test_a_repeated_call_settles_what_the_first_did_not(task: RawTask) -> None:
    task.seed(claimed())
    assert task.run(exchange(ended(COMPLETED, b"1")).again()).settlements == SETTLED


def test_a_repeated_call_gets_the_jobs_it_had_claimed(task: RawTask) -> None:
    task.seed({"a": job(), "b": job(), "c": job(), "wait": ["c", "b", "a"]})
    request = exchange(slots=2)
    first = task.run(request)
    before = task.dump()
    assert task.run(request.again()).claims == first.claims == (claim("a"), claim("b"))
    assert task.dump() == before


def test_a_repeated_call_fills_the_slots_that_are_left(task: RawTask) -> None:
    task.seed({**claimed(token=NEXT), "a": job(), "b": job(), "wait": ["b", "a"]})
    assert task.run(exchange(slots=2).again()).claims == (claim("j1"), claim("a"))


def test_a_repeated_call_does_not_get_the_jobs_of_others(task: RawTask) -> None:
    task.seed(claimed())
    assert task.run(exchange(slots=2).again()).claims == ()


def test_a_repeated_call_keeps_the_job_it_gave_back_and_claimed_again(task: RawTask) -> None:
    task.seed(claimed())
    request = exchange(ended(RELEASED), slots=1)
    assert task.run(request).claims == (claim("j1"),)
    again = task.run(request.again())
    assert (again.settlements, again.claims) == (REPEATED, (claim("j1"),))


@pytest.mark.parametrize("kind", [RETRYING, RELEASED])
def test_a_job_whose_cancellation_was_requested_does_not_go_on(task: RawTask, kind: OutcomeKind) -> None:
    task.seed({**claimed(cancelledAt=NOW - 50), "stalled": {"j1"}})
    before = task.dump()
    assert task.run(exchange(ended(kind, b"boom", delay_ms=5))).settlements == CANCEL_REQUESTED
    assert task.dump() == before


@pytest.mark.parametrize("kind", [COMPLETED, FAILED])
def test_a_final_outcome_stands_although_cancellation_was_requested(task: RawTask, kind: OutcomeKind) -> None:
    task.seed(claimed(cancelledAt=NOW - 50))
    assert task.run(exchange(ended(kind, b"1"))).settlements == SETTLED
    record = task.read("j1")
    assert (record["state"], record["cancelledAt"]) == (kind.value, str(NOW - 50))


@EVERY
@pytest.mark.parametrize("rest", [{}, {"j1": "no hash at all"}])
def test_a_job_that_was_deleted_while_it_ran_is_not_half_created(task: RawTask, kind: OutcomeKind, rest: Dump) -> None:
    task.orphans.add("j1")
    task.seed({"j1:lock": Expires(TOKEN), "active": ["j1"], "stalled": {"j1"}, **rest})
    assert task.run(exchange(ended(kind, b"1", delay_ms=5))).settlements == LOST
    assert task.dump() == rest


def test_more_outcomes_than_lua_can_unpack_are_settled(task: RawTask) -> None:
    ids = [f"j{n}" for n in range(9000)]
    pipeline = task.client.pipeline(transaction=False)
    for job_id in ids:
        pipeline.hset(f"taskora:{{t}}:{job_id}", mapping={"state": "active", "_v": "1", "data": "1"})
        pipeline.set(f"taskora:{{t}}:{job_id}:lock", TOKEN, px=60_000)
    pipeline.rpush("taskora:{t}:active", *ids)
    pipeline.sadd("taskora:{t}:stalled", *ids)
    pipeline.execute()
    reply = task.run(exchange(*(ended(COMPLETED, job_id=job_id) for job_id in reversed(ids))))
    assert reply.settlements == SETTLED * 9000
    assert sorted(task.dump(without=ids)) == ["completed", "events", "metrics:completed:1795299600000"]


def test_a_lease_without_duration_is_refused_before_anything_is_taken(task: RawTask) -> None:
    task.seed({"a": job(), "wait": ["a"]})
    before = task.dump()
    with pytest.raises(Exception, match="lease_ms must be at least 1"):
        task.run(exchange(slots=1, lease_ms=0))
    assert task.dump() == before


def test_a_clock_that_went_back_settles_all_the_same(task: RawTask) -> None:
    task.seed(claimed())
    assert task.run(exchange(ended(COMPLETED, b"1")), now_ms=NOW - 60_000).settlements == SETTLED
    assert task.read("completed") == Scores({"j1": NOW - 60_000})


@pytest.mark.parametrize("seed", [{}, {"a": job(), "wait": ["a"]}])
@pytest.mark.parametrize("slots", [0, 1])
@pytest.mark.parametrize("resend", [False, True])
def test_a_replica_says_of_no_outcome_that_it_is_lost(task: RawTask, seed: Dump, slots: int, resend: bool) -> None:
    task.seed(seed)
    client: Any = task.client
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(ResponseError, match="read only replica"):
            task.run(exchange(ended(COMPLETED, b"1"), slots=slots, resend=resend))
    finally:
        client.execute_command("REPLICAOF", "NO", "ONE")
    assert task.dump() == seed
