"""remove_finished: completed | failed | cancelled | expired -> (none)."""

import pytest

from taskora.contracts import JobState
from taskora.wire import FINAL_STATES, FinalState, RemoveFinished
from tests.transitions.keyspace import NOW, Dump, Expires, RawTask, Scores, job

FINAL = pytest.mark.parametrize("state", FINAL_STATES)


def remove(state: FinalState = JobState.COMPLETED) -> RemoveFinished:
    return RemoveFinished(task="t", state=state, job_id="j1")


@FINAL
def test_an_ended_job_is_removed_with_all_its_keys(task: RawTask, state: FinalState) -> None:
    other: Dump = {"j2": job(state), "j2:logs": ["{}"]}
    mine: Dump = {"j1": job(state), "j1:logs": ["{}"], "j1:lock": Expires("tok")}
    task.seed({**mine, **other, state: Scores({"j1": NOW, "j2": NOW})})
    assert task.run(remove(state)) is True
    assert task.dump() == {**other, state: Scores({"j2": NOW})}


def test_a_job_in_another_state_stays(task: RawTask) -> None:
    before: Dump = {"j1": job("failed"), "failed": Scores({"j1": NOW})}
    task.seed(before)
    assert task.run(remove()) is False
    assert task.dump() == before


def test_a_job_that_waits_stays(task: RawTask) -> None:
    task.seed({"j1": job(), "wait": ["j1"]})
    assert task.run(remove()) is False
    assert task.dump() == {"j1": job(), "wait": ["j1"]}


def test_removing_twice_removes_once(task: RawTask) -> None:
    task.seed({"j1": job("completed"), "completed": Scores({"j1": NOW})})
    assert (task.run(remove()), task.run(remove().again())) == (True, False)
    assert task.dump() == {}
