"""remember_workflow: index of running workflows."""

from taskora.wire import RememberWorkflow
from tests.transitions.keyspace import NOW, RawTask, Scores
from tests.transitions.workflows import ENDED, ID, RUNNING, TRIES


def test_the_last_word_counts(task: RawTask) -> None:
    task.run(RememberWorkflow(workflow_id=ID, look_ms=5000))
    assert task.dump() == {RUNNING: Scores({ID: NOW + 5000})}
    task.run(RememberWorkflow(workflow_id=ID, look_ms=10))
    assert task.dump() == {RUNNING: Scores({ID: NOW + 10})}


def test_the_instant_is_even(task: RawTask) -> None:
    for look_ms in (9, 10):
        task.run(RememberWorkflow(workflow_id=ID, look_ms=look_ms))
        assert task.dump() == {RUNNING: Scores({ID: NOW + 10})}


def test_one_that_runs_again_has_not_ended(task: RawTask) -> None:
    task.seed({ENDED: Scores({ID: NOW, "w2": NOW})})
    task.run(RememberWorkflow(workflow_id=ID, look_ms=0))
    assert task.dump() == {RUNNING: Scores({ID: NOW}), ENDED: Scores({"w2": NOW})}


def test_the_latest_announced_try_is_kept(task: RawTask) -> None:
    for announced in (1, 3, 2, 0):
        task.run(RememberWorkflow(workflow_id=ID, look_ms=0, workflow_try=announced))
    assert task.dump() == {RUNNING: Scores({ID: NOW}), TRIES: {ID: "3"}}
