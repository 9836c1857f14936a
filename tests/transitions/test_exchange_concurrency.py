"""exchange: jobs that need a slot of a concurrency key."""

from typing import Any

import pytest

from taskora.wire import Claim
from tests.transitions.exchanges import COMPLETED, RELEASED, RETRYING, claimed, ended, exchange
from tests.transitions.keyspace import NOW, Dump, Events, RawTask, Scores, event, job


def keyed(*, limit: object = 1, **fields: Any) -> dict[str, str]:
    return job(concurrencyKey="org", concurrencyLimit=limit, **fields)


def listed(*job_ids: str, **fields: Any) -> Dump:
    """Jobs in the list that need a slot; the first named runs first."""
    return {**{job_id: keyed(**fields) for job_id in job_ids}, "wait": list(reversed(job_ids))}


def parked(*job_ids: str, looked_at: int = NOW - 5, **fields: Any) -> Dump:
    """Jobs that wait for a slot, the first named first."""
    return {
        **{job_id: keyed(**fields) for job_id in job_ids},
        "parked:key:org": Scores({job_id: NOW - 100 + place for place, job_id in enumerate(job_ids)}),
        "parked:keys": Scores({"org": looked_at}),
        "parked:count": str(len(job_ids)),
    }


def running(**fields: Any) -> Dump:
    return {**claimed(concurrencyKey="org", concurrencyLimit=1, **fields), "conc:org": "1"}


def ids(claims: tuple[Claim, ...]) -> list[str]:
    return [claim.job_id for claim in claims]


def test_a_concurrency_key_lets_as_many_start_as_its_limit(task: RawTask) -> None:
    task.seed(listed("a", "b", "c", limit=2))
    assert ids(task.run(exchange(slots=3)).claims) == ["a", "b"]
    dump = task.dump(without=["a", "b", "a:lock", "b:lock", "events"])
    assert dump == {
        "c": keyed(limit=2),
        "active": ["b", "a"],
        "conc:org": "2",
        "parked:key:org": Scores({"c": NOW}),
        "parked:keys": Scores({"org": NOW}),
        "parked:count": "1",
    }


def test_a_settled_job_hands_its_slot_to_the_next_in_the_same_call(task: RawTask) -> None:
    task.seed({**running(), **listed("a")})
    assert ids(task.run(exchange(ended(COMPLETED), slots=1)).claims) == ["a"]
    assert task.read("conc:org") == "1"


@pytest.mark.parametrize("kind", [COMPLETED, RETRYING, RELEASED])
def test_a_settled_job_frees_the_first_that_is_parked(task: RawTask, kind: Any) -> None:
    task.seed({**running(), **parked("a", "b")})
    task.run(exchange(ended(kind, delay_ms=9)))
    assert task.read("conc:org") is None
    assert task.read("parked:freed") == ["a"]
    assert task.read("parked:key:org") == Scores({"b": NOW - 99})
    assert task.read("parked:count") == "1"


def test_the_last_parked_job_leaves_nothing_behind(task: RawTask) -> None:
    task.seed({**running(), **parked("a")})
    assert ids(task.run(exchange(ended(COMPLETED, b"1"), slots=1)).claims) == ["a"]
    places = ["a", "a:lock", "active", "completed", "conc:org", "events", "j1", "metrics:completed:1795299600000"]
    assert sorted(task.dump(without=["marker"])) == places


def test_freed_jobs_leave_between_the_prioritized_and_the_listed(task: RawTask) -> None:
    task.seed({"freed": job(), "parked:freed": ["freed"], "listed": job(), "wait": ["listed"]})
    task.seed({"urgent": job(priority=1), "prioritized": Scores({"urgent": NOW - 1e13})})
    assert ids(task.run(exchange(slots=3)).claims) == ["urgent", "freed", "listed"]


def test_a_prioritized_job_that_is_freed_competes_by_its_priority(task: RawTask) -> None:
    task.seed({**running(), "p": keyed(priority=3)})
    task.seed(
        {"parked:key:org": Scores({"p": NOW - 1000 - 3e13}), "parked:keys": Scores({"org": 1}), "parked:count": "1"}
    )
    task.run(exchange(ended(COMPLETED)))
    assert task.read("prioritized") == Scores({"p": NOW - 1000 - 3e13})


def test_freed_jobs_that_are_blocked_again_go_back_in_front(task: RawTask) -> None:
    task.seed({**running(), **parked("c", "d"), "a": keyed(), "b": keyed(), "parked:freed": ["b", "a"]})
    assert task.run(exchange(slots=3)).claims == ()
    first = NOW - 100
    assert task.read("parked:key:org") == Scores({"a": first - 2, "b": first - 1, "c": first, "d": first + 1})
    assert task.read("parked:freed") is None
    assert task.read("parked:count") == "4"


def test_a_parked_job_stands_behind_those_that_are_there_whatever_the_clock_says(task: RawTask) -> None:
    ahead = NOW + 5000
    task.seed({**running(), "x": keyed(), **listed("a", "b")})
    task.seed({"parked:key:org": Scores({"x": ahead}), "parked:keys": Scores({"org": 1}), "parked:count": "1"})
    task.run(exchange(slots=3))
    assert task.read("parked:key:org") == Scores({"x": ahead, "a": ahead + 1, "b": ahead + 2})


def test_prioritized_jobs_are_parked_before_the_others(task: RawTask) -> None:
    task.seed({**running(), **listed("plain"), "p": keyed(priority=2), "prioritized": Scores({"p": NOW - 1000 - 2e13})})
    task.run(exchange(slots=3))
    assert task.read("parked:key:org") == Scores({"p": NOW - 1000 - 2e13, "plain": NOW})


def test_parked_jobs_do_not_stop_claims_of_a_server_that_is_out_of_memory(task: RawTask) -> None:
    task.seed({**running(), **parked("a"), "free": job(), "wait": ["free"]})
    task.client.config_set("maxmemory", 1)
    try:
        claims = task.run(exchange(slots=1)).claims
    finally:
        task.client.config_set("maxmemory", 0)
    assert ids(claims) == ["free"]
    assert task.read("parked:keys") == Scores({"org": NOW})


@pytest.mark.parametrize("fields", [{"priority": "NaN"}, {"priority": 2, "ts": "NaN"}])
def test_a_job_of_unreadable_numbers_is_parked_and_loses_no_neighbour(task: RawTask, fields: dict[str, Any]) -> None:
    task.seed({**running(), "odd": keyed(**fields), "a": job(), "b": job(), "wait": ["b", "odd", "a"]})
    assert ids(task.run(exchange(slots=3)).claims) == ["a", "b"]
    assert ids(task.run(exchange(ended(COMPLETED), slots=1)).claims) == ["odd"]


@pytest.mark.parametrize("limit", ["0", "-1", "", "many"])
def test_a_key_without_a_usable_limit_limits_nothing(task: RawTask, limit: str) -> None:
    task.seed(listed("a", "b", limit=limit))
    assert ids(task.run(exchange(slots=2)).claims) == ["a", "b"]
    assert task.read("conc:org") is None


@pytest.mark.parametrize(
    ("fields", "key_limit", "running"),
    [
        ({"limit": 1, "py:defaultLimit": 1}, 3, 3),
        ({"limit": 1, "py:defaultLimit": 1}, 0, 1),
        ({"limit": 2}, 3, 2),
    ],
)
def test_whose_limit_counts(task: RawTask, fields: dict[str, Any], key_limit: int, running: int) -> None:
    task.seed(listed("a", "b", "c", "d", **fields))
    assert len(task.run(exchange(slots=4, key_limit=key_limit)).claims) == running


@pytest.mark.parametrize("damage", ["nonsense", ["a list"]])
def test_a_damaged_counter_starts_again(task: RawTask, damage: str | list[str]) -> None:
    task.seed({**listed("a"), "conc:org": damage})
    assert ids(task.run(exchange(slots=1)).claims) == ["a"]
    assert task.read("conc:org") == "1"


@pytest.mark.parametrize("damage", ["nonsense", ["a list"]])
def test_a_damaged_counter_is_dropped_when_a_slot_is_given_back(task: RawTask, damage: str | list[str]) -> None:
    task.seed({**running(), **parked("a")} | {"conc:org": damage})
    assert ids(task.run(exchange(ended(COMPLETED), slots=1)).claims) == ["a"]
    assert task.read("conc:org") == "1"


def test_blocked_jobs_hide_neither_the_list_nor_the_prioritized(task: RawTask) -> None:
    task.seed({"conc:org": "1", "blocked": keyed(), "free": job(), "wait": ["free", "blocked"]})
    task.seed({"urgent": keyed(priority=9), "some": job(priority=1)})
    task.seed({"prioritized": Scores({"urgent": NOW - 9e13, "some": NOW - 1e13})})
    assert ids(task.run(exchange(slots=2)).claims) == ["some", "free"]
    assert (task.read("wait"), task.read("prioritized")) == (None, None)
    assert list(task.read("parked:key:org")) == ["urgent", "blocked"]


@pytest.mark.parametrize("place", ["wait", "prioritized"])
def test_many_blocked_jobs_hide_nobody(task: RawTask, place: str) -> None:
    blocked = {f"b{n:03}": keyed(priority=int(place != "wait")) for n in range(900)}
    queue: Dump = {"wait": ["free", *reversed(blocked)]}
    if place != "wait":
        queue = {"prioritized": Scores({name: n - 1e13 for n, name in enumerate(blocked)}), "wait": ["free"]}
    task.seed({"conc:org": "1", **blocked, "free": job(), **queue})
    assert ids(task.run(exchange(slots=1)).claims) == ["free"]
    assert task.read("parked:count") == "900"


def test_a_call_passes_over_a_bounded_number_of_blocked_jobs(task: RawTask) -> None:
    blocked = {f"b{n:04}": keyed() for n in range(1005)}
    task.seed({"conc:org": "1", **blocked, "free": job(), "wait": ["free", *reversed(blocked)]})
    assert task.run(exchange(slots=1)).claims == ()
    assert len(task.read("wait")) == 5
    assert ids(task.run(exchange(slots=1)).claims) == ["free"]


def test_parked_jobs_cost_a_claim_nothing(task: RawTask) -> None:
    before: Dump = {**running(), **parked("a", "b", looked_at=NOW)}
    task.seed(before)
    assert task.run(exchange(slots=9)).claims == ()
    assert task.dump() == before


def test_a_claim_looks_again_at_a_key_whose_slots_others_gave_back(task: RawTask) -> None:
    task.seed({**parked("a", "b", "c", limit=2), "conc:org": "1"})
    assert ids(task.run(exchange(slots=3)).claims) == ["a"]
    assert task.read("conc:org") == "2"
    assert task.read("parked:keys") == Scores({"org": NOW})


def test_a_key_without_parked_jobs_is_forgotten(task: RawTask) -> None:
    task.seed({"parked:keys": Scores({"org": 1})})
    task.run(exchange(slots=1))
    assert task.dump() == {}


def test_looking_again_waits_for_those_that_are_freed(task: RawTask) -> None:
    task.seed({**parked("a"), "f": job(), "parked:freed": ["f"]})
    task.run(exchange(slots=0))
    assert task.read("parked:freed") == ["f"]
    assert task.read("parked:keys") == Scores({"org": NOW - 5})


def test_a_key_is_not_looked_at_because_more_jobs_are_parked_for_it(task: RawTask) -> None:
    task.seed({**running(), **parked("a", looked_at=2), **listed("b")})
    task.seed({"parked:keys": Scores({"x": 1, "y": 1, "z": 1})})  # these are looked at, and forgotten
    task.run(exchange(slots=1))
    assert task.read("parked:keys") == Scores({"org": 2})


def test_a_ghost_is_not_parked_for_ever(task: RawTask) -> None:
    task.seed({**parked("ghost", "b"), "conc:org": "1"})
    task.client.delete("taskora:{t}:ghost")
    assert task.run(exchange(slots=2)).claims == ()
    assert task.read("parked:key:org") == Scores({"b": NOW - 99})


@pytest.mark.parametrize("state", ["cancelled", "completed", "failed", "expired"])
def test_a_job_that_has_ended_does_not_start(task: RawTask, state: str) -> None:
    task.seed({**running(), **parked("a", "b"), "a": keyed(state=state), state: Scores({"a": 1})})
    assert ids(task.run(exchange(ended(COMPLETED), slots=1)).claims) == ["b"]
    assert task.read("a") == keyed(state=state)


def test_a_parked_job_expires_when_it_is_freed(task: RawTask) -> None:
    task.seed({**running(), **parked("a", "b"), "a": keyed(expireAt=NOW)})
    assert ids(task.run(exchange(ended(COMPLETED), slots=1)).claims) == ["b"]
    assert task.read("expired") == Scores({"a": NOW})
    assert task.read("events")[1:] == Events([event("expired", "a"), event("active", "b", attempt=1)])


def test_the_outcome_of_a_deleted_job_leaves_its_slot_to_the_sweep(task: RawTask) -> None:
    task.seed({**running(), **parked("a")})
    task.client.delete("taskora:{t}:j1")
    task.run(exchange(ended(COMPLETED), slots=1))
    assert (task.read("conc:org"), task.read("active")) == ("1", None)
