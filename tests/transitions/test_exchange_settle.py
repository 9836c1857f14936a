"""exchange, first half: active -> completed | retrying | failed | cancelled | waiting | delayed."""

import pytest

from taskora.wire import Outcome, OutcomeKind
from tests.transitions.exchanges import (
    CANCELLED,
    COMPLETED,
    DECLINED,
    FAILED,
    RELEASED,
    RETRYING,
    SETTLED,
    TOKEN,
    claimed,
    ended,
    exchange,
)
from tests.transitions.keyspace import MINUTE, NOW, Dump, Events, Expires, RawTask, Scores, event, job

END = {COMPLETED: "completed", FAILED: "failed", CANCELLED: "cancelled"}
FINAL = pytest.mark.parametrize("kind", END)
EVERY = pytest.mark.parametrize("kind", OutcomeKind)


def test_a_completed_job(task: RawTask) -> None:
    task.seed(claimed(error="boom of the first attempt", attempt=2))
    reply = task.run(exchange(ended(COMPLETED, b'{"ok":true}')))
    assert (reply.settlements, reply.claims, reply.due_ms, reply.now_ms) == (SETTLED, (), None, NOW)
    assert task.dump() == {
        "j1": job(
            "completed",
            attempt=2,
            processedOn=NOW - 100,
            finishedOn=NOW,
            result='{"ok":true}',
            error="boom of the first attempt",
        ),
        "completed": Scores({"j1": NOW}),
        f"metrics:completed:{MINUTE}": Expires("1"),
        "events": Events([event("completed", "j1", attempt=2)]),
    }


def test_a_job_that_failed_for_good(task: RawTask) -> None:
    task.seed(claimed(attempt=3))
    assert task.run(exchange(ended(FAILED, b"final boom"))).settlements == SETTLED
    assert task.dump() == {
        "j1": job("failed", attempt=3, processedOn=NOW - 100, finishedOn=NOW, error="final boom"),
        "failed": Scores({"j1": NOW}),
        f"metrics:failed:{MINUTE}": Expires("1"),
        "events": Events([event("failed", "j1", attempt=3, error="final boom")]),
    }


def test_a_job_that_is_tried_again_later(task: RawTask) -> None:
    task.seed(claimed())
    reply = task.run(exchange(ended(RETRYING, b"boom", delay_ms=1500)))
    assert (reply.settlements, reply.due_ms) == (SETTLED, NOW + 1500)
    retrying = event("retrying", "j1", attempt=2, nextAttemptAt=NOW + 1500, error="boom")
    assert task.dump() == {
        "j1": job("retrying", attempt=2, processedOn=NOW - 100, error="boom"),
        "delayed": Scores({"j1": NOW + 1500}),
        "marker": Scores({"0": NOW + 1500}),
        "events": Events([retrying]),
    }


def test_a_job_that_is_tried_again_at_once(task: RawTask) -> None:
    task.seed(claimed())
    task.run(exchange(ended(RETRYING, b"boom")))
    assert task.dump() == {
        "j1": job("waiting", attempt=2, processedOn=NOW - 100, error="boom"),
        "wait": ["j1"],
        "marker": Scores({"0": 0}),
        "events": Events(
            [
                event("retrying", "j1", attempt=2, nextAttemptAt=NOW, error="boom"),
                event("promoted", "j1"),
            ]
        ),
    }


def test_a_job_that_was_cancelled(task: RawTask) -> None:
    task.seed(claimed(cancelledAt=NOW - 50, cancelReason="by hand"))
    assert task.run(exchange(ended(CANCELLED))).settlements == SETTLED
    assert task.dump() == {
        "j1": job(
            "cancelled",
            processedOn=NOW - 100,
            cancelledAt=NOW - 50,
            cancelReason="by hand",
            finishedOn=NOW,
        ),
        "cancelled": Scores({"j1": NOW}),
        "events": Events([event("cancelled", "j1", reason="by hand")]),
    }


def test_a_cancelled_job_without_a_reason_has_an_empty_one_in_its_event(task: RawTask) -> None:
    task.seed(claimed(cancelledAt=NOW - 50))
    task.run(exchange(ended(CANCELLED)))
    assert task.read("events") == Events([event("cancelled", "j1", reason="")])


@pytest.mark.parametrize(
    ("fields", "place"),
    [({}, {"wait": ["j1"]}), ({"priority": 2}, {"prioritized": Scores({"j1": NOW - 1000 - 2e13})})],
)
def test_a_job_given_back_waits_where_it_belongs_with_its_attempt(
    task: RawTask, fields: dict[str, int], place: Dump
) -> None:
    task.seed(claimed(token="tok-1", **fields))
    assert task.run(exchange(ended(RELEASED))).settlements == SETTLED
    assert task.dump() == {
        "j1": job("waiting", processedOn=NOW - 100, **fields),
        **place,
        "marker": Scores({"0": 0}),
        "events": Events([event("waiting", "j1")]),
    }


def test_a_job_given_back_stands_behind_the_others(task: RawTask) -> None:
    task.seed({**claimed(), "a": job(), "b": job(), "wait": ["b", "a"]})
    task.run(exchange(ended(RELEASED)))
    assert task.read("wait") == ["j1", "b", "a"]


def test_a_job_given_back_for_later_is_parked_without_an_event(task: RawTask) -> None:
    task.seed(claimed())
    task.run(exchange(ended(RELEASED, delay_ms=2000)))
    assert task.dump() == {
        "j1": job("delayed", processedOn=NOW - 100),
        "delayed": Scores({"j1": NOW + 2000}),
        "marker": Scores({"0": NOW + 2000}),
    }


@pytest.mark.parametrize(
    ("before", "restored"),
    [
        ({}, {}),
        ({"py:before": f",{NOW + 50}"}, {"expireAt": NOW + 50}),
        ({"py:before": f"{NOW - 500},"}, {"processedOn": NOW - 500}),
        ({"py:before": f"{NOW - 500},{NOW + 50}"}, {"processedOn": NOW - 500, "expireAt": NOW + 50}),
        ({"py:before": "nonsense"}, {}),
    ],
)
def test_a_job_that_no_handler_started_is_as_it_was_before_the_claim(
    task: RawTask, before: dict[str, str], restored: dict[str, int]
) -> None:
    task.seed(claimed(**before))
    assert task.run(exchange(ended(DECLINED))).settlements == SETTLED
    assert task.dump() == {
        "j1": job("waiting", **restored),
        "wait": ["j1"],
        "marker": Scores({"0": 0}),
        "events": Events([event("waiting", "j1")]),
    }


def test_a_job_that_no_handler_started_goes_before_those_that_wait(task: RawTask) -> None:
    task.seed({**claimed(), "wait": ["newest", "oldest"]})
    task.run(exchange(ended(DECLINED)))
    assert task.dump()["wait"] == ["newest", "oldest", "j1"]


def test_a_job_that_was_started_goes_behind_those_that_wait(task: RawTask) -> None:
    task.seed({**claimed(), "wait": ["newest", "oldest"]})
    task.run(exchange(ended(RELEASED)))
    assert task.dump()["wait"] == ["j1", "newest", "oldest"]


def test_a_declined_job_that_is_put_back_for_later_keeps_its_time_to_live(task: RawTask) -> None:
    task.seed(claimed(**{"py:before": f",{NOW + 50}"}))
    task.run(exchange(ended(DECLINED, delay_ms=2000)))
    assert task.dump() == {
        "j1": job("delayed", expireAt=NOW + 50),
        "delayed": Scores({"j1": NOW + 2000}),
        "marker": Scores({"0": NOW + 2000}),
    }


@EVERY
def test_every_outcome_ends_lease_activity_and_suspicion(task: RawTask, kind: OutcomeKind) -> None:
    task.seed({**claimed(), "stalled": {"j1", "other"}})
    task.run(exchange(ended(kind, delay_ms=5)))
    dump = task.dump()
    assert "j1:lock" not in dump
    assert "active" not in dump
    assert dump["stalled"] == {"other"}


@FINAL
def test_the_end_of_a_job_frees_its_deduplication_key(task: RawTask, kind: OutcomeKind) -> None:
    task.seed({**claimed(dedupKey="taskora:{t}:dedup:k"), "dedup:k": "j1"})
    task.run(exchange(ended(kind)))
    assert task.read("dedup:k") is None


@FINAL
def test_a_deduplication_key_of_a_newer_job_stays(task: RawTask, kind: OutcomeKind) -> None:
    task.seed({**claimed(dedupKey="taskora:{t}:dedup:k"), "dedup:k": "j2"})
    task.run(exchange(ended(kind)))
    assert task.read("dedup:k") == "j2"


@pytest.mark.parametrize("kind", [RETRYING, RELEASED, DECLINED])
def test_a_job_that_goes_on_keeps_its_deduplication_key(task: RawTask, kind: OutcomeKind) -> None:
    task.seed({**claimed(dedupKey="taskora:{t}:dedup:k"), "dedup:k": "j1"})
    task.run(exchange(ended(kind, delay_ms=5)))
    assert task.read("dedup:k") == "j1"


@EVERY
def test_every_outcome_gives_a_concurrency_slot_back(task: RawTask, kind: OutcomeKind) -> None:
    task.seed({**claimed(concurrencyKey="org", concurrencyLimit=2), "conc:org": "2"})
    task.run(exchange(ended(kind, delay_ms=5)))
    assert task.read("conc:org") == "1"


@EVERY
@pytest.mark.parametrize("before", [{"conc:org": "1"}, {"conc:org": "0"}, {"conc:org": "nonsense"}, {}])
def test_a_concurrency_counter_is_deleted_with_its_last_holder(task: RawTask, kind: OutcomeKind, before: Dump) -> None:
    task.seed({**claimed(concurrencyKey="org", concurrencyLimit=2), **before})
    assert task.run(exchange(ended(kind, delay_ms=5))).settlements == SETTLED
    assert task.read("conc:org") is None


def test_a_freed_concurrency_slot_wakes_a_worker(task: RawTask) -> None:
    task.seed({**claimed(concurrencyKey="org", concurrencyLimit=1), "conc:org": "1"})
    task.run(exchange(ended(COMPLETED)))
    assert task.read("marker") == Scores({"0": 0})


def test_throughput_is_counted_per_minute_and_kept_for_a_day(task: RawTask) -> None:
    keys: Dump = {}
    for job_id in ("a", "b", "c", "d"):
        keys |= {job_id: job("active"), f"{job_id}:lock": Expires("tok-1")}
    task.seed({**keys, "active": ["d", "c", "b", "a"]})
    task.run(exchange(ended(COMPLETED, job_id="a"), ended(COMPLETED, job_id="b"), ended(FAILED, job_id="c")))
    task.run(exchange(ended(COMPLETED, job_id="d")), now_ms=MINUTE + 59_999)
    assert task.read(f"metrics:completed:{MINUTE}") == Expires("3")
    assert task.read(f"metrics:failed:{MINUTE}") == Expires("1")
    assert 86_000_000 < task.lifetime_ms(f"metrics:completed:{MINUTE}") <= 86_400_000


@pytest.mark.parametrize("kind", [RETRYING, CANCELLED, RELEASED])
def test_other_outcomes_are_not_throughput(task: RawTask, kind: OutcomeKind) -> None:
    task.seed(claimed())
    task.run(exchange(ended(kind, delay_ms=5)))
    assert [name for name in task.dump() if name.startswith("metrics:")] == []


def test_fields_that_nobody_here_knows_survive(task: RawTask) -> None:
    task.seed(claimed(_wf="w1", _wfNode=2, traceparent="00-ab"))
    task.run(exchange(ended(COMPLETED, b"1")))
    assert task.read("j1") == job(
        "completed",
        processedOn=NOW - 100,
        _wf="w1",
        _wfNode=2,
        **{"py:settledBy": "tok-1"},
        traceparent="00-ab",
        finishedOn=NOW,
        result="1",
    )


def test_the_order_of_events_is_settled_then_promoted_then_active(task: RawTask) -> None:
    task.seed({**claimed(), "due": job("delayed"), "delayed": Scores({"due": NOW - 1})})
    task.run(exchange(ended(COMPLETED, b"1"), slots=1))
    names = [flat[1::2][:2] for flat in task.read("events")]
    assert names == [["completed", "j1"], ["promoted", "due"], ["active", "due"]]


def test_a_record_that_names_something_else_as_its_deduplication_key_ends_with_its_neighbours(task: RawTask) -> None:
    task.seed({"j1": job("active", dedupKey="taskora:{t}:wait"), "j1:lock": Expires(TOKEN)})
    task.seed({"j2": job("active"), "j2:lock": Expires(TOKEN), "active": ["j2", "j1"], "wait": ["j3"]})
    reply = task.run(exchange(ended(COMPLETED, b"1"), ended(FAILED, b"no", job_id="j2")))
    assert reply.settlements == SETTLED * 2
    assert (task.read("active"), task.read("wait")) == (None, ["j3"])
    assert (task.read("completed"), task.read("failed")) == (Scores({"j1": NOW}), Scores({"j2": NOW}))


@pytest.mark.parametrize("kind", [COMPLETED, FAILED])
@pytest.mark.parametrize("plain", [True, False])
def test_a_job_that_is_listed_twice_among_the_active_does_not_keep_another_there(
    task: RawTask, kind: OutcomeKind, plain: bool
) -> None:
    names = ("j1", "j2")
    task.seed({name: job("active", processedOn=NOW - 100) for name in names})
    task.seed({f"{name}:lock": TOKEN for name in names})
    task.seed({"active": ["j2", "other", "j1", "j1"]})
    outcomes = [Outcome(kind=kind, job_id=name, token=TOKEN, payload=b"1", plain=plain) for name in names]
    assert task.run(exchange(*outcomes)).settlements == SETTLED * 2
    assert task.read("active") == ["other"]
