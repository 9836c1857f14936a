"""postpone_untold: notes of ended jobs of workflows."""

import pytest

from taskora.wire import PostponeUntold
from tests.transitions.keyspace import NOW, RawTask, Scores, job

DAY_MS = 86_400_000


def seed(task: RawTask, age_ms: int) -> None:
    """One job that ended so long ago, and is noted."""
    ended = job("completed", _wf="w1", _wfNode=0, finishedOn=NOW - age_ms)
    task.seed({"j1": ended, "completed": Scores({"j1": NOW - age_ms}), "workflow:untold": Scores({"j1": NOW - 5})})


@pytest.mark.parametrize(
    ("age_ms", "pause_ms"), [(0, 10_000), (40_000, 10_000), (100_003, 25_000), (DAY_MS, 600_000), (-DAY_MS, 10_000)]
)
def test_the_pause_is_a_quarter_of_the_age_within_bounds(task: RawTask, age_ms: int, pause_ms: int) -> None:
    seed(task, age_ms)
    before = task.dump()
    assert task.run(PostponeUntold(task="t", job_ids=["j1"])) == ()
    assert task.dump() == {**before, "workflow:untold": Scores({"j1": NOW + pause_ms})}


@pytest.mark.parametrize(("age_ms", "is_over"), [(DAY_MS - 1, False), (DAY_MS, True), (DAY_MS + 1, True)])
def test_what_ended_too_long_ago_is_given_up(task: RawTask, age_ms: int, is_over: bool) -> None:
    seed(task, age_ms)
    assert task.run(PostponeUntold(task="t", job_ids=["j1"], give_up_ms=DAY_MS)) == (("j1",) if is_over else ())
    assert (task.read("workflow:untold") is None) is is_over
    assert task.read("j1")["state"] == "completed"


def test_what_is_not_noted_stays_so(task: RawTask) -> None:
    task.seed({"j1": job("completed", finishedOn=NOW), "completed": Scores({"j1": NOW})})
    before = task.dump()
    assert task.run(PostponeUntold(task="t", job_ids=["j1", "j2"])) == ()
    assert task.dump() == before


def test_the_note_of_a_job_that_is_gone_or_no_job_goes(task: RawTask) -> None:
    task.seed({"workflow:untold": Scores({"gone": NOW, "list": NOW}), "list": ["x"]})
    assert task.run(PostponeUntold(task="t", job_ids=["gone", "list"])) == ()
    assert task.dump() == {"list": ["x"]}
    task.client.delete("taskora:{t}:list")


def test_a_repetition_changes_nothing(task: RawTask) -> None:
    seed(task, 0)
    postpone = PostponeUntold(task="t", job_ids=["j1"])
    task.run(postpone)
    before = task.dump()
    task.run(postpone)
    assert task.dump() == before
