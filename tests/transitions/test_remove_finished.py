"""remove_finished: completed | failed | cancelled | expired -> (none)."""

from dataclasses import replace

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


def test_a_request_that_is_sent_again_tells_what_the_first_one_told(task: RawTask) -> None:
    task.seed({"j1": job("completed"), "completed": Scores({"j1": NOW})})
    request = replace(remove(), request="r1")
    assert (task.run(request), task.run(request.again())) == (True, True)
    assert task.dump() == {"sent:r1": Expires("1")}
    assert 50_000 < task.lifetime_ms("sent:r1") <= 60_000


def test_a_request_that_found_nothing_finds_nothing_when_it_is_sent_again(task: RawTask) -> None:
    request = replace(remove(), request="r1")
    assert (task.run(request), task.run(request.again())) == (False, False)
    assert task.dump() == {}
