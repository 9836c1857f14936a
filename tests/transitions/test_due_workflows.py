"""due_workflows: index of running workflows."""

from taskora.wire import DueWorkflows, WorkflowsDue
from tests.transitions.keyspace import NOW, RawTask, Scores
from tests.transitions.workflows import RUNNING


def test_those_that_are_due_are_taken_and_come_again(task: RawTask) -> None:
    task.seed({RUNNING: Scores({"w1": NOW, "w2": NOW + 1, "w3": NOW - 5})})
    due = task.run(DueWorkflows(limit=10, again_ms=30))
    assert due == WorkflowsDue(again_at_ms=NOW + 31, workflow_ids=("w3", "w1"))
    assert task.run(DueWorkflows(limit=10, again_ms=30)).workflow_ids == ()
    assert task.dump() == {RUNNING: Scores({"w2": NOW + 1, "w1": NOW + 31, "w3": NOW + 31})}


def test_no_more_than_asked_for_are_taken(task: RawTask) -> None:
    task.seed({RUNNING: Scores({"w1": NOW, "w2": NOW - 1})})
    assert task.run(DueWorkflows(limit=1, again_ms=30)).workflow_ids == ("w2",)
    assert task.run(DueWorkflows(limit=1, again_ms=30)).workflow_ids == ("w1",)


def test_they_come_again_at_an_odd_instant(task: RawTask) -> None:
    for again_ms in (30, 31):
        task.seed({RUNNING: Scores({"w1": NOW})})
        assert task.run(DueWorkflows(limit=1, again_ms=again_ms)).again_at_ms == NOW + 31
