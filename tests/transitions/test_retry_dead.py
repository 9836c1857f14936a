"""retry_dead: failed -> waiting."""

from typing import Any

import pytest

from taskora.wire import Exchange, RetryDead
from tests.transitions.keyspace import NOW, Dump, Events, RawTask, Scores, event, job


def dead(*job_ids: str, **fields: Any) -> Dump:
    """Failed jobs, the first named for longest."""
    records = {job_id: job("failed", **({"finishedOn": NOW - 5} | fields)) for job_id in job_ids}
    return {**records, "failed": Scores({job_id: NOW - 100 + n for n, job_id in enumerate(job_ids)})}


def revive(job_id: str | None = None, limit: int = 100) -> RetryDead:
    return RetryDead(task="t", job_id=job_id, limit=limit)


def test_a_revived_job_starts_clean(task: RawTask) -> None:
    leftovers: dict[str, Any] = {
        "attempt": 3,
        "error": "boom",
        "result": "1",
        "cancelledAt": NOW - 9,
        "cancelReason": "by hand",
        "stalledCount": 2,
        "expireAt": NOW - 50,
        "processedOn": NOW - 7,
        "_wf": "w1",
    }
    task.seed(dead("j1", **leftovers))
    assert task.run(revive("j1")) == ("j1",)
    assert task.dump() == {
        "j1": job("waiting", ts=NOW, attempt=1, processedOn=NOW - 7, _wf="w1"),
        "wait": ["j1"],
        "marker": Scores({"0": 0}),
        "events": Events([event("waiting", "j1")]),
    }


def test_a_revived_job_does_not_expire_for_its_former_life(task: RawTask) -> None:
    task.seed(dead("j1", expireAt=NOW - 50))
    task.run(revive("j1"))
    assert len(task.run(Exchange(task="t", token="tok", lease_ms=60_000, slots=1)).claims) == 1


def test_a_revived_job_with_a_priority_is_scored_by_now(task: RawTask) -> None:
    task.seed(dead("j1", priority=2))
    task.run(revive("j1"))
    assert task.read("prioritized") == Scores({"j1": NOW - 2e13})


def test_the_oldest_are_revived_first_and_run_first(task: RawTask) -> None:
    task.seed(dead("a", "b", "c"))
    assert task.run(revive(limit=2)) == ("a", "b")
    assert task.read("wait") == ["b", "a"]
    assert list(task.read("failed")) == ["c"]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nothing_revives_nothing(task: RawTask, limit: int) -> None:
    task.seed(dead("a", "b"))
    assert task.run(revive(limit=limit)) == ()
    assert task.dump() == dead("a", "b")


def test_a_limit_above_all_revives_all(task: RawTask) -> None:
    task.seed(dead("a", "b"))
    assert task.run(revive(limit=10_000)) == ("a", "b")


@pytest.mark.parametrize("job_id", ["j2", "never", None])
def test_a_job_that_is_not_dead_is_left_alone(task: RawTask, job_id: str | None) -> None:
    before: Dump = {"j2": job("completed"), "completed": Scores({"j2": NOW})}
    task.seed(before)
    assert task.run(revive(job_id)) == ()
    assert task.dump() == before


def test_a_dead_id_without_a_job_is_forgotten(task: RawTask) -> None:
    task.seed({"failed": Scores({"ghost": NOW})})
    assert task.run(revive("ghost")) == ()
    assert task.dump() == {}


def test_reviving_twice_queues_once(task: RawTask) -> None:
    task.seed(dead("j1"))
    request = revive("j1")
    assert task.run(request) == ("j1",)
    before = task.dump()
    assert task.run(request.again()) == ()
    assert task.dump() == before
