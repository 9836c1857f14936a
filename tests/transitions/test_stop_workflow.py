"""stop_workflow: running -> failed | cancelled."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from taskora.wire import Stopped, StoppedState, StopWorkflow
from tests.transitions.keyspace import NOW, Expires, RawTask
from tests.transitions.workflows import ID, KEY, changes, foreign, lives_on, record_of, stored

BOTH = pytest.mark.parametrize("made", [stored, foreign], ids=["ours", "of another program"])
Made = Callable[..., dict[str, str]]


def stop(state: StoppedState = "failed", step: int = -1, job_id: str = "") -> StopWorkflow:
    return StopWorkflow(workflow_id=ID, state=state, message="boom", step=step, job_id=job_id)


@BOTH
def test_a_failed_step_ends_all_that_have_not_completed(task: RawTask, made: Made) -> None:
    before = made("completed", "active", "active", "pending", n_0_result="3")
    task.seed({KEY: before})
    assert task.run(stop(step=1, job_id="j1")) == Stopped(state="failed", told_in="t", jobs=(("u", "j2"),))
    assert changes(before, record_of(task)) == {
        "state": "failed", "error": "boom", "py:finishedAt": str(NOW), "py:cascade": "2", "n:1:error": "boom",
        "n:1:state": "failed", "n:2:state": "failed", "n:3:state": "failed",
    }  # fmt: skip
    assert not lives_on(task)


@BOTH
def test_first_steps_are_cancelled_although_they_are_pending(task: RawTask, made: Made) -> None:
    before = made("pending", "pending", "pending", "pending")
    task.seed({KEY: before})
    assert task.run(stop("cancelled")) == Stopped(state="cancelled", told_in="t", jobs=(("t", "j0"),))
    assert {record_of(task)[f"n:{number}:state"] for number in range(4)} == {"cancelled"}


def test_asked_again_it_tells_the_same_jobs(task: RawTask) -> None:
    task.seed({KEY: stored("completed", "active", "active", "pending", n_0_result="3")})
    first = task.run(stop(step=1, job_id="j1"))
    before = record_of(task)
    assert task.run(stop(step=1, job_id="j1")) == first
    assert task.run(stop("cancelled")) == first
    assert record_of(task) == before


def test_a_step_that_ends_later_has_nothing_to_do_with_the_others(task: RawTask) -> None:
    task.seed({KEY: stored("completed", "active", "active", "pending", n_0_result="3")})
    task.run(stop(step=1, job_id="j1"))
    assert task.run(stop("cancelled", step=2, job_id="j2")) == Stopped(state="failed", told_in="", jobs=())


@pytest.mark.parametrize(("step", "job_id"), [(1, "j9"), (0, "j0"), (9, "j9")])
def test_a_job_that_is_not_the_steps_or_a_step_that_has_completed_stops_nothing(
    task: RawTask, step: int, job_id: str
) -> None:
    before = stored("completed", "active", "active", "pending", n_0_result="3")
    task.seed({KEY: before})
    assert task.run(stop(step=step, job_id=job_id)) == Stopped(state="running", told_in="", jobs=())
    assert record_of(task) == before


def test_a_held_step_has_no_job_any_more(task: RawTask) -> None:
    task.seed({KEY: stored("active", "pending", "pending", "pending", n_0_result="3")})
    assert task.run(stop("cancelled")).jobs == ()


def test_a_completed_workflow_stays_completed(task: RawTask) -> None:
    before = stored(*["completed"] * 4, state="completed")
    task.seed({KEY: before})
    assert task.run(stop()) == Stopped(state="completed", told_in="t", jobs=())
    assert record_of(task) == before
    task.client.delete(KEY)


def test_a_workflow_that_is_gone_has_no_state(task: RawTask) -> None:
    assert task.run(stop()) == Stopped(state=None, told_in="", jobs=())
    assert task.dump() == {}


def test_who_means_another_try_than_the_one_that_runs_stops_nothing(task: RawTask) -> None:
    before = stored("completed", "active", "active", "pending", py_try=2)
    task.seed({KEY: before})
    for meant in (0, 1, 3):
        late = replace(stop(), workflow_try=meant)
        assert task.run(late) == Stopped(state="running", told_in="", jobs=(), workflow_try=2)
    assert record_of(task) == before
    assert task.run(replace(stop(), workflow_try=2)).state == "failed"


def test_a_failure_of_the_time_before_the_job_is_revived_stops_nothing(task: RawTask) -> None:
    before = stored("completed", "active", "active", "pending", py_try=2, py_revive_1=2)
    task.seed({KEY: before})
    old = stop(step=1, job_id="j1")
    assert task.run(old) == Stopped(state="running", told_in="", jobs=(), workflow_try=2, revives_in=2)
    assert record_of(task) == before
    assert task.run(replace(old, job_try=2)).state == "failed"


def test_a_try_that_was_announced_and_did_not_begin_is_closed(task: RawTask) -> None:
    task.seed({KEY: Expires(stored("completed", *["failed"] * 3, state="failed", error="boom", py_cascade="2"))})
    closing = replace(stop(), workflow_try=0, closes=True)
    assert task.run(closing) == Stopped(state="failed", told_in="t", jobs=(("u", "j2"),), workflow_try=1)
    assert record_of(task)["py:try"] == "1"
    assert task.run(closing) == Stopped(state="failed", told_in="", jobs=(), workflow_try=1)
