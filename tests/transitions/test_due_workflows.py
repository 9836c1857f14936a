"""due_workflows: index of running workflows."""

from taskora.wire import DueWorkflows
from tests.transitions.keyspace import NOW, RawTask, Scores
from tests.transitions.workflows import RUNNING


def test_those_that_are_due_are_taken_and_come_again(task: RawTask) -> None:
    task.seed({RUNNING: Scores({"w1": NOW, "w2": NOW + 1, "w3": NOW - 5})})
    assert task.run(DueWorkflows(limit=10, again_ms=30)) == ("w3", "w1")
    assert task.run(DueWorkflows(limit=10, again_ms=30)) == ()
    assert task.dump() == {RUNNING: Scores({"w2": NOW + 1, "w1": NOW + 30, "w3": NOW + 30})}


def test_no_more_than_asked_for_are_taken(task: RawTask) -> None:
    task.seed({RUNNING: Scores({"w1": NOW, "w2": NOW - 1})})
    assert task.run(DueWorkflows(limit=1, again_ms=30)) == ("w2",)
    assert task.run(DueWorkflows(limit=1, again_ms=30)) == ("w1",)
