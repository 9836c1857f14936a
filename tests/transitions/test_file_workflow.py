"""file_workflow: index of running workflows -> index of ended ones."""

from taskora.wire import FileWorkflow, RememberWorkflow
from tests.transitions.keyspace import NOW, RawTask, Scores
from tests.transitions.workflows import ENDED, ID, RUNNING


def test_an_ended_workflow_changes_lists_once(task: RawTask) -> None:
    task.seed({RUNNING: Scores({ID: NOW, "w2": NOW})})
    task.run(FileWorkflow(workflow_id=ID))
    task.run(FileWorkflow(workflow_id=ID), now_ms=NOW + 5)
    assert task.dump() == {RUNNING: Scores({"w2": NOW}), ENDED: Scores({ID: NOW})}


def test_a_try_that_stopped_is_not_filed_once_another_was_announced(task: RawTask) -> None:
    task.run(RememberWorkflow(workflow_id=ID, look_ms=5, workflow_try=2))
    before = task.dump()
    assert task.run(FileWorkflow(workflow_id=ID, workflow_try=1)) is False
    assert task.dump() == before
    assert task.run(FileWorkflow(workflow_id=ID, workflow_try=2)) is True
    assert task.dump() == {ENDED: Scores({ID: NOW})}


def test_one_that_can_run_no_more_is_filed_whatever_was_announced(task: RawTask) -> None:
    task.run(RememberWorkflow(workflow_id=ID, look_ms=5, workflow_try=2))
    assert task.run(FileWorkflow(workflow_id=ID)) is True
    assert task.dump() == {ENDED: Scores({ID: NOW})}


def test_one_that_never_was_is_forgotten(task: RawTask) -> None:
    task.seed({RUNNING: Scores({ID: NOW})})
    task.run(FileWorkflow(workflow_id=ID, listed=False))
    assert task.dump() == {}


def test_one_that_was_announced_again_is_not_forgotten(task: RawTask) -> None:
    task.seed({RUNNING: Scores({ID: NOW + 7})})
    assert task.run(FileWorkflow(workflow_id=ID, listed=False, look_at_ms=NOW + 6)) is False
    assert task.dump() == {RUNNING: Scores({ID: NOW + 7})}
    assert task.run(FileWorkflow(workflow_id=ID, listed=False, look_at_ms=NOW + 7)) is True
    assert task.run(FileWorkflow(workflow_id=ID, listed=False, look_at_ms=NOW + 7)) is False
    assert task.dump() == {}


def test_old_ones_and_the_oldest_of_too_many_leave_the_list(task: RawTask) -> None:
    task.seed({ENDED: Scores({"old": NOW - 100, "w1": NOW - 9, "w2": NOW - 8})})
    task.run(FileWorkflow(workflow_id="w3", keep_ms=100, max_items=2))
    assert task.dump() == {ENDED: Scores({"w2": NOW - 8, "w3": NOW})}
