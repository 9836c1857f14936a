"""list_workflows: reads only."""

from taskora.wire import ListWorkflows
from tests.transitions.keyspace import NOW, RawTask, Scores
from tests.transitions.workflows import ENDED, RUNNING


def test_pages_of_both_lists(task: RawTask) -> None:
    task.seed({RUNNING: Scores({"w2": NOW + 1, "w1": NOW}), ENDED: Scores({"w3": NOW, "w4": NOW + 1, "w5": NOW + 2})})
    assert task.run(ListWorkflows(ended=False, offset=0, limit=10)) == ("w1", "w2")
    assert task.run(ListWorkflows(ended=True, offset=0, limit=10)) == ("w5", "w4", "w3")
    assert task.run(ListWorkflows(ended=True, offset=1, limit=1)) == ("w4",)
    assert task.run(ListWorkflows(ended=True, offset=0, limit=0)) == ()
