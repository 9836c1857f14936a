"""dispatch_occurrences: (none) -> waiting | delayed."""

import pytest

from taskora.wire import Dispatched, DispatchOccurrences, Occurrence
from tests.transitions.keyspace import NOW, Events, Expires, RawTask, Scores, event, job

IDS = "occurrences:nightly:ids"
NEW = job(ts=NOW, data="1", _v=2)


def dispatch(*jobs: Occurrence, until_ms: int = NOW, overlap: bool = False, last: str = "") -> DispatchOccurrences:
    return DispatchOccurrences(
        task="t",
        schedule="nightly",
        version=2,
        max_attempts=3,
        claimed_until_ms=until_ms,
        overlap=overlap,
        last_job_id=last,
        jobs=jobs,
    )


def run(job_id: str, *, delay_ms: int = 0, ttl_ms: int = 0) -> Occurrence:
    return Occurrence(job_id=job_id, data=b"1", delay_ms=delay_ms, ttl_ms=ttl_ms)


def test_runs_become_jobs_and_are_remembered(task: RawTask) -> None:
    assert task.run(dispatch(run("a"), run("b", delay_ms=50, ttl_ms=700))) is Dispatched.DONE
    assert task.dump() == {
        "a": NEW,
        "b": NEW | {"state": "delayed", "delay": "50", "expireAt": str(NOW + 700)},
        "wait": ["a"],
        "delayed": Scores({"b": NOW + 50}),
        "marker": Scores({"0": 0}),
        "events": Events([event("waiting", "a"), event("delayed", "b")]),
        IDS: Expires(["b", "a"]),
    }
    assert task.lifetime_ms(IDS) > 89 * 86_400_000


def test_what_was_dispatched_is_not_dispatched_again(task: RawTask) -> None:
    task.seed({IDS: Expires(["a"])})
    assert task.run(dispatch(run("a"))) is Dispatched.DONE
    assert task.dump() == {IDS: Expires(["a"])}


def test_a_late_caller_changes_nothing(task: RawTask) -> None:
    assert task.run(dispatch(run("a"), until_ms=NOW - 1)) is Dispatched.CLAIM_OVER
    assert task.dump() == {}


def test_a_caller_whose_claim_was_withdrawn_changes_nothing(task: RawTask) -> None:
    mark = {f"occurrences:nightly:withdrawn:{NOW + 5}": Expires("1")}
    task.seed(mark)
    assert task.run(dispatch(run("a"), until_ms=NOW + 5)) is Dispatched.CLAIM_OVER
    assert task.dump() == mark
    assert task.run(dispatch(run("a"), until_ms=NOW + 6)) is Dispatched.DONE


@pytest.mark.parametrize("state", ["waiting", "delayed", "retrying", "active"])
def test_an_earlier_run_that_has_not_ended_comes_first(task: RawTask, state: str) -> None:
    place = {"waiting": "wait", "active": "active"}.get(state, "delayed")
    task.seed({"a": job(state), place: ["a"] if place != "delayed" else Scores({"a": NOW + 5}), IDS: Expires(["a"])})
    before = task.dump()
    assert task.run(dispatch(run("b"))) is Dispatched.UNDER_WAY
    assert task.dump() == before
    assert task.run(dispatch(run("b"), overlap=True)) is Dispatched.DONE
    assert task.read(IDS) == Expires(["b", "a"])


def test_so_does_one_that_another_program_dispatched(task: RawTask) -> None:
    task.seed({"x": job("active"), "active": ["x"]})
    assert task.run(dispatch(run("b"), last="x")) is Dispatched.UNDER_WAY
    assert task.run(dispatch(run("b"), last="gone")) is Dispatched.DONE


@pytest.mark.parametrize("state", ["completed", "failed", "expired", "cancelled"])
def test_one_that_has_ended_does_not_count(task: RawTask, state: str) -> None:
    task.seed({"a": job(state), state: Scores({"a": NOW}), IDS: Expires(["a"])})
    assert task.run(dispatch(run("b"), last="a")) is Dispatched.DONE


def test_a_job_that_exists_is_left_alone_and_remembered(task: RawTask) -> None:
    task.seed({"a": job(), "wait": ["a"]})
    assert task.run(dispatch(run("a"))) is Dispatched.DONE
    assert task.dump() == {"a": job(), "wait": ["a"], IDS: Expires(["a"])}
