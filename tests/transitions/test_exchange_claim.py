"""exchange, second half: waiting -> active | expired."""

from typing import Any

import pytest

from taskora.wire import Claim
from tests.transitions.exchanges import COMPLETED, NEXT, RELEASED, claim, claimed, ended, exchange
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


def test_a_claim_clears_the_deadline_for_starting(task: RawTask) -> None:
    task.seed(listed("j1", expireAt=NOW + 1))
    task.run(exchange(slots=1))
    assert task.read("j1") == job("active", processedOn=NOW)


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
    assert task.dump() == {"events": Events([event("expired", "j1")])}


def test_expired_jobs_leave_their_slots_to_others(task: RawTask) -> None:
    task.seed({**listed("a", "b", expireAt=NOW), "c": job(), "wait": ["c", "b", "a"]})
    assert ids(task.run(exchange(slots=1)).claims) == ["c"]


@pytest.mark.parametrize("text", ["0", "", "never"])
def test_an_unreadable_deadline_is_none(task: RawTask, text: str) -> None:
    task.seed(listed("j1", expireAt=text))
    assert ids(task.run(exchange(slots=1)).claims) == ["j1"]


def test_a_concurrency_key_lets_as_many_start_as_its_limit(task: RawTask) -> None:
    task.seed(listed("a", "b", "c", concurrencyKey="org", concurrencyLimit=2))
    assert ids(task.run(exchange(slots=3)).claims) == ["a", "b"]
    assert task.read("conc:org") == "2"
    assert task.read("wait") == ["c"]


def test_a_settled_job_hands_its_slot_to_the_next_in_the_same_call(task: RawTask) -> None:
    key: dict[str, Any] = {"concurrencyKey": "org", "concurrencyLimit": 1}
    task.seed({**claimed(token="tok-1", **key), "a": job(**key), "wait": ["a"], "conc:org": "1"})
    assert ids(task.run(exchange(ended(COMPLETED), slots=1)).claims) == ["a"]
    assert task.read("conc:org") == "1"


@pytest.mark.parametrize("limit", ["0", "-1", "", "many"])
def test_a_key_without_a_usable_limit_limits_nothing(task: RawTask, limit: str) -> None:
    task.seed(listed("a", "b", concurrencyKey="org", concurrencyLimit=limit))
    assert ids(task.run(exchange(slots=2)).claims) == ["a", "b"]
    assert task.read("conc:org") is None


@pytest.mark.parametrize("damage", ["nonsense", ["a list"]])
def test_a_damaged_counter_starts_again(task: RawTask, damage: str | list[str]) -> None:
    task.seed({**listed("a", concurrencyKey="org", concurrencyLimit=1), "conc:org": damage})
    assert ids(task.run(exchange(slots=1)).claims) == ["a"]
    assert task.read("conc:org") == "1"


def test_blocked_jobs_hide_neither_the_list_nor_the_prioritized(task: RawTask) -> None:
    blocked = job(concurrencyKey="org", concurrencyLimit=1)
    urgent = job(concurrencyKey="org", concurrencyLimit=1, priority=9)
    task.seed(
        {
            "conc:org": "1",
            "blocked": blocked,
            "free": job(),
            "wait": ["free", "blocked"],
            "urgent": urgent,
            "some": job(priority=1),
            "prioritized": Scores({"urgent": NOW - 9e13, "some": NOW - 1e13}),
        }
    )
    assert ids(task.run(exchange(slots=2)).claims) == ["some", "free"]
    assert task.read("wait") == ["blocked"]
    assert task.read("prioritized") == Scores({"urgent": NOW - 9e13})


def test_many_blocked_prioritized_jobs_do_not_hide_the_list(task: RawTask) -> None:
    urgent = job(concurrencyKey="org", concurrencyLimit=1, priority=9)
    names = [f"u{n:03}" for n in range(200)]
    task.seed(
        {
            "conc:org": "1",
            **dict.fromkeys(names, urgent),
            "prioritized": Scores({name: n - 9e13 for n, name in enumerate(names)}),
            **listed("free"),
        }
    )
    assert ids(task.run(exchange(slots=1)).claims) == ["free"]
    assert len(task.read("prioritized")) == 200


def test_many_blocked_listed_jobs_are_passed_in_a_few_calls(task: RawTask) -> None:
    blocked = {f"b{n:03}": job(concurrencyKey="org", concurrencyLimit=1) for n in range(150)}
    task.seed({"conc:org": "1", **blocked, "free": job(), "wait": ["free", *reversed(blocked)]})
    assert task.run(exchange(slots=1)).claims == ()
    assert ids(task.run(exchange(slots=1)).claims) == ["free"]
    assert len(task.read("wait")) == 150


def test_blocked_jobs_keep_their_order_behind_the_others(task: RawTask) -> None:
    task.seed({**listed("a", "b", "c", concurrencyKey="org", concurrencyLimit=1), "conc:org": "1"})
    assert task.run(exchange(slots=1)).claims == ()
    assert task.read("wait") == ["c", "b", "a"]


def test_a_lane_takes_more_jobs_than_lua_can_unpack(task: RawTask) -> None:
    names = [f"j{n}" for n in range(9000)]
    pipeline = task.client.pipeline(transaction=False)
    for name in names:
        pipeline.hset(f"taskora:{{t}}:{name}", mapping={"_v": "1", "data": "1", "state": "waiting"})
    pipeline.lpush("taskora:{t}:wait", *names)
    pipeline.execute()
    assert ids(task.run(exchange(slots=9000)).claims) == names
