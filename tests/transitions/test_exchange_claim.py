"""exchange, second half: waiting -> active | expired."""

from typing import Any

import pytest

from taskora.wire import Claim
from tests.transitions.exchanges import COMPLETED, NEXT, RELEASED, RETRYING, SETTLED, claim, claimed, ended, exchange
from tests.transitions.keyspace import NOW, Dump, Events, Expires, RawTask, Scores, event, job


def listed(*job_ids: str, **fields: Any) -> Dump:
    """Jobs in the list; the first named runs first."""
    return {**{job_id: job(**fields) for job_id in job_ids}, "wait": list(reversed(job_ids))}


def ids(claims: tuple[Claim, ...]) -> list[str]:
    return [claim.job_id for claim in claims]


def test_a_claimed_job_is_active_and_leased(task: RawTask) -> None:
    task.seed(listed("j1"))
    reply = task.run(exchange(slots=1))
    assert (reply.claims, reply.settlements, reply.due_ms) == ((claim("j1"),), (), None)
    assert task.dump() == {
        "j1": job("active", processedOn=NOW),
        "j1:lock": Expires(NEXT),
        "active": ["j1"],
        "events": Events([event("active", "j1", attempt=1)]),
    }
    assert 29_000 < task.lifetime_ms("j1:lock") <= 30_000


def test_no_slots_take_nothing(task: RawTask) -> None:
    task.seed(listed("j1"))
    assert task.run(exchange()).claims == ()
    assert task.dump(without=["marker"]) == listed("j1")


def test_nothing_ready_claims_nothing_and_writes_nothing(task: RawTask) -> None:
    reply = task.run(exchange(slots=5))
    assert (reply.claims, reply.due_ms) == ((), None)
    assert task.dump() == {}


def test_the_list_is_first_in_first_out(task: RawTask) -> None:
    task.seed(listed("a", "b", "c"))
    assert ids(task.run(exchange(slots=2)).claims) == ["a", "b"]
    assert task.read("active") == ["b", "a"]
    assert task.read("wait") == ["c"]


def test_prioritized_jobs_leave_first_highest_priority_first(task: RawTask) -> None:
    task.seed(
        {
            **listed("list"),
            "low": job(priority=1),
            "high": job(priority=9),
            "later": job(priority=9),
            "prioritized": Scores({"low": NOW - 1e13, "later": NOW + 1 - 9e13, "high": NOW - 9e13}),
        }
    )
    assert ids(task.run(exchange(slots=9)).claims) == ["high", "later", "low", "list"]


def test_a_claim_says_what_the_handler_needs(task: RawTask) -> None:
    task.seed(listed("j1", data='{"x":"Привет"}', _v=4, attempt=3, ts=17))
    assert task.run(exchange(slots=1)).claims == (
        Claim(job_id="j1", token=NEXT, data='{"x":"Привет"}'.encode(), version=4, attempt=3, timestamp_ms=17),
    )


@pytest.mark.parametrize(("count", "has_stalled"), [("1", True), ("12", True), ("0", False), ("x", False)])
def test_a_claim_says_whether_the_job_has_lost_a_worker(task: RawTask, count: str, has_stalled: bool) -> None:
    task.seed(listed("j1", attempt=12, stalledCount=count))
    for resend in (False, True):
        (found,) = task.run(exchange(slots=1, resend=resend)).claims
        assert (found.attempt, found.has_stalled) == (12, has_stalled)


def test_every_claim_dates_the_job_again(task: RawTask) -> None:
    task.seed(listed("j1", processedOn=5))
    task.run(exchange(slots=1))
    assert task.read("j1")["processedOn"] == str(NOW)


def test_a_freed_slot_is_filled_in_the_same_call(task: RawTask) -> None:
    task.seed({**claimed(), "next": job(), "wait": ["next"]})
    assert ids(task.run(exchange(ended(COMPLETED, b"1"), slots=1)).claims) == ["next"]
    assert task.read("active") == ["next"]


def test_a_job_given_back_may_be_claimed_again_with_the_new_token(task: RawTask) -> None:
    task.seed(claimed())
    assert ids(task.run(exchange(ended(RELEASED), slots=1)).claims) == ["j1"]
    assert task.read("j1:lock") == Expires(NEXT)


def test_a_repeated_request_renews_the_leases_of_the_claims_it_had_already_made(task: RawTask) -> None:
    task.seed({**claimed(token=NEXT), "theirs": job("active"), "theirs:lock": Expires("other")})
    task.seed({"active": ["theirs"], "stalled": {"j1", "theirs"}})
    task.client.pexpire("taskora:{t}:j1:lock", 1000)
    assert task.run(exchange(slots=1, lease_ms=90_000, resend=True)).claims == (claim("j1"),)
    assert 60_000 < task.lifetime_ms("j1:lock") <= 90_000
    assert task.lifetime_ms("theirs:lock") <= 60_000
    assert task.read("stalled") == {"theirs"}


def test_a_ghost_is_dropped(task: RawTask) -> None:
    task.seed({**listed("j1"), "wait": ["j1", "ghost"]})
    assert ids(task.run(exchange(slots=2)).claims) == ["j1"]
    assert sorted(task.dump()) == ["active", "events", "j1", "j1:lock"]


@pytest.mark.parametrize("damage", [{"odd": {"progress": "1"}}, {"odd": "a string"}, {"odd": ["a list"]}])
@pytest.mark.parametrize("place", ["wait", "prioritized"])
def test_a_damaged_job_does_not_stop_the_ones_behind_it(task: RawTask, damage: Dump, place: str) -> None:
    task.orphans.add("odd")
    queue: Dump = {"wait": ["j1", "odd"]} if place == "wait" else {"prioritized": Scores({"odd": 1, "j1": 2})}
    task.seed({"j1": job(priority=int(place != "wait")), **queue, **damage})
    assert ids(task.run(exchange(slots=2)).claims) == ["j1"]


def test_events_that_cannot_be_written_lose_no_job(task: RawTask) -> None:
    task.seed({**listed("a", "b"), "events": "no stream"})
    assert ids(task.run(exchange(slots=2)).claims) == ["a", "b"]
    reply = task.run(exchange(ended(COMPLETED, job_id="a", token=NEXT), ended(RETRYING, job_id="b", token=NEXT)))
    assert reply.settlements == SETTLED * 2
    assert task.read("completed") == Scores({"a": NOW})
    assert task.read("wait") == ["b"]


def test_a_due_job_of_an_unreadable_age_is_promoted_behind_the_others_of_its_priority(task: RawTask) -> None:
    due = {"odd": job("delayed", ts="NaN", priority=3), "j1": job("delayed", priority=3), "j2": job("delayed")}
    task.seed({**due, "delayed": Scores({"odd": 1, "j1": 2, "j2": 3})})
    assert ids(task.run(exchange(slots=3)).claims) == ["j1", "odd", "j2"]


def test_unreadable_numbers_neither_stop_a_claim_nor_lose_its_neighbours(task: RawTask) -> None:
    task.seed({**listed("a", "odd", "b"), "odd": job(_v="x", attempt="", ts="nope")})
    odd = Claim(job_id="odd", token=NEXT, data=b'{"n":1}', version=0, attempt=0, timestamp_ms=0)
    assert task.run(exchange(slots=3)).claims == (claim("a"), odd, claim("b"))


def test_an_id_that_is_not_text_is_claimed_and_shown(task: RawTask) -> None:
    client: Any = task.client
    client.rpush("taskora:{t}:wait", b"\xff")
    client.hset(b"taskora:{t}:\xff", mapping=job())
    try:
        assert ids(task.run(exchange(slots=1)).claims) == ["\\xff"]
    finally:
        client.flushall()


def test_a_claim_clears_the_deadline_for_starting(task: RawTask) -> None:
    task.seed(listed("j1", expireAt=NOW + 1))
    task.run(exchange(slots=1))
    assert task.read("j1") == job("active", processedOn=NOW, **{"py:before": f",{NOW + 1}"})


@pytest.mark.parametrize("expire_at", [NOW, NOW - 1])
def test_a_job_past_its_deadline_expires(task: RawTask, expire_at: int) -> None:
    task.seed({**listed("j1", expireAt=expire_at, dedupKey="taskora:{t}:dedup:k"), "dedup:k": "j1"})
    assert task.run(exchange(slots=1)).claims == ()
    assert task.dump() == {
        "j1": job("expired", expireAt=expire_at, dedupKey="taskora:{t}:dedup:k", finishedOn=NOW),
        "expired": Scores({"j1": NOW}),
        "events": Events([event("expired", "j1")]),
    }


def test_an_expired_job_is_deleted_where_the_task_says_so(task: RawTask) -> None:
    task.seed({**listed("j1", expireAt=NOW), "j1:logs": ["{}"]})
    assert task.run(exchange(slots=1, on_expire="discard")).claims == ()
    gone = Expires({"state": "expired", "finishedOn": str(NOW)})
    assert task.dump() == {"gone:j1": gone, "events": Events([event("expired", "j1")])}
    assert 590_000 < task.lifetime_ms("gone:j1") <= 600_000


@pytest.mark.parametrize(
    ("fields", "claimed"),
    [
        ({"ts": NOW - 1000}, []),
        ({"ts": NOW - 999}, ["j1"]),
        ({"ts": NOW - 9000, "expireAt": NOW + 1}, ["j1"]),
        ({"ts": NOW - 10, "expireAt": NOW}, []),
        ({"ts": NOW - 9000, "processedOn": NOW - 8000, "attempt": 2}, ["j1"]),
        ({"ts": "never"}, ["j1"]),
    ],
)
def test_the_worker_limits_the_wait_of_jobs_that_never_started_and_have_no_deadline(
    task: RawTask, fields: dict[str, object], claimed: list[str]
) -> None:
    task.seed(listed("j1", **fields))
    assert ids(task.run(exchange(slots=1, ttl_ms=1000)).claims) == claimed
    assert task.read("j1")["state"] == ("active" if claimed else "expired")


def test_expired_jobs_leave_their_slots_to_others(task: RawTask) -> None:
    task.seed({**listed("a", "b", expireAt=NOW), "c": job(), "wait": ["c", "b", "a"]})
    assert ids(task.run(exchange(slots=1)).claims) == ["c"]


@pytest.mark.parametrize("text", ["0", "", "never"])
def test_an_unreadable_deadline_is_none(task: RawTask, text: str) -> None:
    task.seed(listed("j1", expireAt=text))
    assert ids(task.run(exchange(slots=1)).claims) == ["j1"]


def test_a_lane_takes_more_jobs_than_lua_can_unpack(task: RawTask) -> None:
    names = [f"j{n}" for n in range(9000)]
    pipeline = task.client.pipeline(transaction=False)
    for name in names:
        pipeline.hset(f"taskora:{{t}}:{name}", mapping={"_v": "1", "data": "1", "state": "waiting"})
    pipeline.lpush("taskora:{t}:wait", *names)
    pipeline.execute()
    assert ids(task.run(exchange(slots=9000)).claims) == names
