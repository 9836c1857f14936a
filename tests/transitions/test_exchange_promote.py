"""exchange, in between: delayed, retrying -> waiting | expired."""

import pytest

from tests.transitions.exchanges import exchange
from tests.transitions.keyspace import NOW, Dump, Events, Expires, RawTask, Scores, event, job


@pytest.mark.parametrize("state", ["delayed", "retrying"])
def test_a_due_job_waits(task: RawTask, state: str) -> None:
    task.seed({"j1": job(state), "delayed": Scores({"j1": NOW})})
    assert task.run(exchange()).due_ms is None
    assert task.dump() == {
        "j1": job("waiting"),
        "wait": ["j1"],
        "marker": Scores({"0": 0}),
        "events": Events([event("promoted", "j1")]),
    }


def test_a_job_that_is_not_due_stays_and_says_when_it_will_be(task: RawTask) -> None:
    task.seed({"j1": job("delayed"), "delayed": Scores({"j1": NOW + 1})})
    assert task.run(exchange(slots=1)).due_ms == NOW + 1
    assert task.read("delayed") == Scores({"j1": NOW + 1})


def test_due_jobs_run_in_the_order_in_which_they_were_due(task: RawTask) -> None:
    due = {"third": NOW - 10, "first": NOW - 30, "second": NOW - 20}
    task.seed({**{name: job("delayed") for name in due}, "delayed": Scores(due)})
    claims = task.run(exchange(slots=3)).claims
    assert [claim.job_id for claim in claims] == ["first", "second", "third"]


def test_a_due_job_stands_behind_those_that_wait_already(task: RawTask) -> None:
    task.seed({"old": job(), "wait": ["old"], "due": job("delayed"), "delayed": Scores({"due": NOW})})
    task.run(exchange())
    assert task.read("wait") == ["due", "old"]


def test_a_due_job_with_a_priority_is_scored_by_its_dispatch(task: RawTask) -> None:
    task.seed({"j1": job("delayed", priority=3, ts=NOW - 5000), "delayed": Scores({"j1": NOW})})
    task.run(exchange())
    assert task.read("prioritized") == Scores({"j1": NOW - 5000 - 3e13})


def test_one_call_promotes_at_most_a_hundred(task: RawTask) -> None:
    due = {f"j{n:03}": NOW - 500 + n for n in range(150)}
    task.seed({**{name: job("delayed") for name in due}, "delayed": Scores(due)})
    assert task.run(exchange()).due_ms == NOW - 400
    assert len(task.read("delayed")) == 50
    task.run(exchange())
    assert task.read("wait") == list(reversed(due))


@pytest.mark.parametrize("leftover", [{}, {"odd": {"progress": "1"}}, {"odd": "a string"}])
def test_a_ghost_is_dropped_and_stops_nobody(task: RawTask, leftover: Dump) -> None:
    task.orphans.add("odd")
    task.seed({**leftover, "j1": job("delayed"), "delayed": Scores({"odd": NOW - 2, "j1": NOW - 1})})
    task.run(exchange())
    assert task.read("wait") == ["j1"]
    assert task.read("delayed") is None
    assert task.read("events") == Events([event("promoted", "j1")])


def test_a_job_past_its_deadline_expires_instead(task: RawTask) -> None:
    task.seed({"j1": job("delayed", expireAt=NOW), "delayed": Scores({"j1": NOW - 1})})
    task.run(exchange(slots=1))
    assert task.dump() == {
        "j1": job("expired", expireAt=NOW, finishedOn=NOW),
        "expired": Scores({"j1": NOW}),
        "events": Events([event("expired", "j1")]),
    }


def test_a_job_past_its_deadline_is_deleted_where_the_task_says_so(task: RawTask) -> None:
    record = job("delayed", expireAt=NOW, dedupKey="taskora:{t}:dedup:k")
    task.seed({"j1": record, "dedup:k": "j1", "delayed": Scores({"j1": NOW - 1})})
    task.run(exchange(slots=1, on_expire="discard"))
    gone = Expires({"state": "expired", "finishedOn": str(NOW)})
    assert task.dump() == {"gone:j1": gone, "events": Events([event("expired", "j1")])}


def test_a_job_without_a_deadline_has_the_one_of_the_worker(task: RawTask) -> None:
    task.seed({"j1": job("delayed", ts=NOW - 1000), "j2": job("delayed", ts=NOW - 999)})
    task.seed({"delayed": Scores({"j1": NOW - 1, "j2": NOW - 1})})
    assert [claim.job_id for claim in task.run(exchange(slots=2, ttl_ms=1000)).claims] == ["j2"]
    assert task.read("expired") == Scores({"j1": NOW})


def test_a_clock_that_went_back_promotes_later_and_nothing_twice(task: RawTask) -> None:
    task.seed({"j1": job("delayed"), "delayed": Scores({"j1": NOW})})
    assert task.run(exchange(slots=1), now_ms=NOW - 1000).claims == ()
    assert len(task.run(exchange(slots=1)).claims) == 1
    assert task.run(exchange(slots=1)).claims == ()
