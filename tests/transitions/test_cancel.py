"""cancel: waiting | delayed | retrying -> cancelled; active -> active with a cancellation request."""

from functools import partial
from typing import Any

import pytest

from taskora.wire import Cancel, CancelReply, Exchange
from tests.polling import eventually
from tests.transitions.keyspace import NOW, Dump, Events, Expires, RawTask, Scores, event, job


def _message(channel: Any) -> Any:
    return eventually(partial(channel.get_message, timeout=0.01))


def cancel(reason: str = "", job_id: str = "j1") -> Cancel:
    return Cancel(task="t", job_id=job_id, reason=reason)


PLACES: list[tuple[str, Dump]] = [
    ("waiting", {"wait": ["j1"]}),
    ("waiting", {"prioritized": Scores({"j1": 1})}),
    ("delayed", {"delayed": Scores({"j1": NOW + 5})}),
    ("retrying", {"delayed": Scores({"j1": NOW + 5})}),
]


@pytest.mark.parametrize(("state", "place"), PLACES)
def test_a_job_that_does_not_run_is_cancelled_at_once(task: RawTask, state: str, place: Dump) -> None:
    task.seed({"j1": job(state), **place})
    assert task.run(cancel("by hand")) is CancelReply.CANCELLED
    assert task.dump() == {
        "j1": job("cancelled", finishedOn=NOW, cancelReason="by hand"),
        "cancelled": Scores({"j1": NOW}),
        "events": Events([event("cancelled", "j1", reason="by hand")]),
    }


def test_without_a_reason_the_event_has_an_empty_one_and_the_job_none(task: RawTask) -> None:
    task.seed({"j1": job(), "wait": ["j1"]})
    assert task.run(cancel()) is CancelReply.CANCELLED
    assert task.read("j1") == job("cancelled", finishedOn=NOW)
    assert task.read("events") == Events([event("cancelled", "j1", reason="")])


def test_the_neighbours_stay(task: RawTask) -> None:
    task.seed({"a": job(), "j1": job(), "b": job(), "wait": ["b", "j1", "a"]})
    task.run(cancel())
    assert task.read("wait") == ["b", "a"]


@pytest.mark.parametrize(("owner", "left"), [("j1", None), ("j2", "j2")])
def test_only_a_deduplication_key_of_its_own_is_freed(task: RawTask, owner: str, left: str | None) -> None:
    task.seed({"j1": job(dedupKey="taskora:{t}:dedup:k"), "wait": ["j1"], "dedup:k": owner})
    task.run(cancel())
    assert task.read("dedup:k") == left


def test_a_waiting_job_holds_no_concurrency_slot_to_give_back(task: RawTask) -> None:
    task.seed({"j1": job(concurrencyKey="org", concurrencyLimit=1), "wait": ["j1"], "conc:org": "1"})
    task.run(cancel())
    assert task.read("conc:org") == "1"


def test_an_active_job_keeps_running_and_its_worker_is_told(task: RawTask) -> None:
    task.seed({"j1": job("active"), "j1:lock": Expires("tok-1"), "active": ["j1"]})
    client: Any = task.client
    with client.pubsub() as channel:
        channel.subscribe("taskora:{t}:cancel")
        assert _message(channel)["type"] == "subscribe"
        assert task.run(cancel("by hand")) is CancelReply.REQUESTED
        assert _message(channel)["data"] == b"j1"
    assert task.dump() == {
        "j1": job("active", cancelledAt=NOW, cancelReason="by hand"),
        "j1:lock": Expires("tok-1"),
        "active": ["j1"],
    }


def test_asking_twice_moves_the_time_of_the_request_only(task: RawTask) -> None:
    task.seed({"j1": job("active"), "j1:lock": Expires("tok-1"), "active": ["j1"]})
    task.run(cancel("first"))
    assert task.run(cancel(), now_ms=NOW + 5) is CancelReply.REQUESTED
    assert task.read("j1") == job("active", cancelledAt=NOW + 5, cancelReason="first")


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled", "expired"])
def test_a_job_that_has_ended_is_left_as_it_is(task: RawTask, state: str) -> None:
    before: Dump = {"j1": job(state, finishedOn=NOW - 5), state: Scores({"j1": NOW - 5})}
    task.seed(before)
    assert task.run(cancel("too late")) is CancelReply.ENDED
    assert task.dump() == before


@pytest.mark.parametrize("leftover", [{}, {"j1": {"progress": "1"}}])
def test_a_job_nobody_knows_is_not_created(task: RawTask, leftover: Dump) -> None:
    task.orphans.add("j1")
    task.seed(leftover)
    assert task.run(cancel("by hand")) is CancelReply.UNKNOWN
    assert task.dump() == leftover


def test_a_parked_job_is_cancelled_before_it_comes_back(task: RawTask) -> None:
    task.seed({"j1": job("delayed"), "delayed": Scores({"j1": NOW + 5})})
    task.run(cancel())
    reply = task.run(Exchange(task="t", token="tok", lease_ms=1000, slots=1), now_ms=NOW + 10)
    assert reply.claims == ()


KEYED: dict[str, Any] = {"concurrencyKey": "org", "concurrencyLimit": 1}


def parked(*job_ids: str) -> Dump:
    return {
        **{job_id: job(**KEYED) for job_id in job_ids},
        "parked:key:org": Scores({job_id: NOW + place for place, job_id in enumerate(job_ids)}),
        "parked:keys": Scores({"org": NOW}),
        "parked:count": str(len(job_ids)),
    }


def test_a_parked_job_is_cancelled_and_its_neighbours_stay(task: RawTask) -> None:
    task.seed(parked("a", "j1", "b"))
    assert task.run(cancel()) is CancelReply.CANCELLED
    assert task.read("parked:key:org") == Scores({"a": NOW, "b": NOW + 2})
    assert (task.read("parked:count"), task.read("marker")) == ("2", None)


def test_the_last_parked_job_leaves_nothing_behind(task: RawTask) -> None:
    task.seed(parked("j1"))
    task.run(cancel())
    assert sorted(task.dump()) == ["cancelled", "events", "j1"]


@pytest.mark.parametrize(
    "place", [{"parked:freed": ["b", "j1"], "b": job()}, {"prioritized": Scores({"j1": 1})}], ids=["freed", "urgent"]
)
def test_a_job_that_was_freed_gives_its_chance_to_the_next(task: RawTask, place: Dump) -> None:
    task.seed({**parked("a"), "j1": job(**KEYED), **place})
    task.run(cancel())
    assert task.read("parked:freed") == (["a", "b"] if "b" in place else ["a"])
    assert task.read("marker") == Scores({"0": 0})
    assert task.read("parked:count") is None


def test_a_job_that_is_too_new_is_forgotten_where_it_is_noted(task: RawTask) -> None:
    task.seed({"j1": job("delayed", _v=9), "delayed": Scores({"j1": NOW + 5}), "parked:newer": Scores({"j1": 9})})
    assert task.run(cancel()) is CancelReply.CANCELLED
    assert task.read("parked:newer") is None


def test_a_listed_job_with_a_concurrency_key_frees_nobody(task: RawTask) -> None:
    task.seed({**parked("a"), "j1": job(**KEYED), "wait": ["j1"]})
    task.run(cancel())
    assert (task.read("parked:count"), task.read("parked:freed")) == ("1", None)


def test_one_that_is_sent_again_is_answered_as_the_first_time(task: RawTask) -> None:
    task.seed({"j1": job(), "wait": ["j1"]})
    assert task.run(cancel("by hand")) is CancelReply.CANCELLED
    before = task.dump()
    assert task.run(cancel("by hand").again()) is CancelReply.CANCELLED
    assert task.run(cancel("another").again()) is CancelReply.ENDED
    assert task.run(cancel("by hand")) is CancelReply.ENDED
    assert task.dump() == before


@pytest.mark.parametrize("state", ["completed", "failed", "expired"])
def test_a_job_that_ended_otherwise_was_not_cancelled_by_one_that_is_sent_again(task: RawTask, state: str) -> None:
    task.seed({"j1": job(state), state: Scores({"j1": NOW})})
    assert task.run(cancel().again()) is CancelReply.ENDED
