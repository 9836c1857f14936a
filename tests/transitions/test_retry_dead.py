"""retry_dead: failed -> waiting."""

from typing import Any

import pytest

from taskora.wire import Exchange, Outcome, OutcomeKind, RetryDead, Revived
from tests.transitions.keyspace import NOW, Dump, Events, RawTask, Scores, event, job


def dead(*job_ids: str, **fields: Any) -> Dump:
    """Failed jobs, the first named for longest."""
    records = {job_id: job("failed", **({"finishedOn": NOW - 5} | fields)) for job_id in job_ids}
    return {**records, "failed": Scores({job_id: NOW - 100 + n for n, job_id in enumerate(job_ids)})}


def revive(job_id: str | None = None, limit: int = 100) -> RetryDead:
    return RetryDead(task="t", job_ids=() if job_id is None else (job_id,), limit=limit)


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
    }
    task.seed(dead("j1", **leftovers))
    assert task.run(revive("j1")) == Revived(job_ids=("j1",))
    assert task.dump() == {
        "j1": job("waiting", ts=NOW, attempt=1, processedOn=NOW - 7),
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
    assert task.run(revive(limit=2)) == Revived(job_ids=("a", "b"))
    assert task.read("wait") == ["b", "a"]
    assert list(task.read("failed")) == ["c"]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nothing_revives_nothing(task: RawTask, limit: int) -> None:
    task.seed(dead("a", "b"))
    assert task.run(revive(limit=limit)) == Revived()
    assert task.dump() == dead("a", "b")


def test_a_limit_above_all_revives_all(task: RawTask) -> None:
    task.seed(dead("a", "b"))
    assert task.run(revive(limit=10_000)) == Revived(job_ids=("a", "b"))


@pytest.mark.parametrize("job_id", ["j2", "never", None])
def test_a_job_that_is_not_dead_is_left_alone(task: RawTask, job_id: str | None) -> None:
    before: Dump = {"j2": job("completed"), "completed": Scores({"j2": NOW})}
    task.seed(before)
    assert task.run(revive(job_id)) == Revived()
    assert task.dump() == before


def test_a_dead_id_without_a_job_is_forgotten(task: RawTask) -> None:
    task.seed({"failed": Scores({"ghost": NOW})})
    assert task.run(revive("ghost")) == Revived()
    assert task.dump() == {}


def test_reviving_twice_queues_once(task: RawTask) -> None:
    task.seed(dead("j1"))
    request = revive("j1")
    assert task.run(request) == Revived(job_ids=("j1",))
    before = task.dump()
    assert task.run(request.again()) == Revived()
    assert task.dump() == before


def test_steps_of_workflows_are_left_to_those_who_let_the_workflows_run_again(task: RawTask) -> None:
    before = dead("j1", _wf="w1", _wfNode=0)
    task.seed(before)
    assert task.run(revive("j1")) == task.run(revive()) == Revived(steps=("j1",))
    assert task.dump() == before


def test_those_that_stay_can_be_passed_over(task: RawTask) -> None:
    task.seed({**dead("j1", _wf="w1"), "j2": job("failed"), "failed": Scores({"j1": NOW - 2, "j2": NOW - 1})})
    assert task.run(RetryDead(task="t", limit=1)) == Revived(steps=("j1",))
    assert task.run(RetryDead(task="t", limit=1, offset=1)) == Revived(job_ids=("j2",))


def test_a_step_lives_again_once_in_each_try_of_its_workflow(task: RawTask) -> None:
    task.seed(dead("j1", _wf="w1"))
    retry = RetryDead(task="t", job_ids=("j1",), workflow_try=2)
    assert task.run(retry) == Revived(job_ids=("j1",))
    assert task.read("j1") == job("waiting", ts=NOW, attempt=1, _wf="w1", **{"py:try": 2})
    (claim,) = task.run(Exchange(task="t", token="tok", lease_ms=60_000, slots=1)).claims
    failure = Outcome(kind=OutcomeKind.FAILED, job_id=claim.job_id, token="tok", payload=b"boom")
    task.run(Exchange(task="t", token="tok", lease_ms=60_000, slots=0, outcomes=(failure,)))
    assert task.run(retry) == Revived()
    assert task.run(RetryDead(task="t", job_ids=("j1",), workflow_try=1)) == Revived()
    assert task.run(RetryDead(task="t", job_ids=("j1",), workflow_try=3)) == Revived(job_ids=("j1",))


def test_a_step_whose_workflow_is_gone_lives_for_itself(task: RawTask) -> None:
    task.seed(dead("j1", _wf="w1"))
    assert task.run(RetryDead(task="t", job_ids=("j1",), workflow_try=0)) == Revived(job_ids=("j1",))
    assert task.read("j1") == job("waiting", ts=NOW, attempt=1, _wf="w1")


@pytest.mark.parametrize("job_ids", [("a", "b", "s"), ()], ids=["by id", "the oldest"])
def test_a_request_that_is_sent_again_tells_what_the_first_one_told(task: RawTask, job_ids: tuple[str, ...]) -> None:
    task.seed({**dead("a", "b", "s", "c"), "s": job("failed", _wf="w1", finishedOn=NOW - 5)})
    request = RetryDead(task="t", job_ids=job_ids, limit=3, request="r1")
    first = task.run(request)
    assert first == Revived(job_ids=("a", "b"), steps=("s",))
    before = task.dump()
    assert task.run(request.again()) == first
    assert task.dump() == before
    assert 50_000 < task.lifetime_ms("sent:r1") <= 60_000


def test_a_request_that_was_never_carried_out_is_when_it_is_sent_again(task: RawTask) -> None:
    task.seed(dead("a"))
    assert task.run(RetryDead(task="t", job_ids=("a",), request="r1").again()) == Revived(job_ids=("a",))
