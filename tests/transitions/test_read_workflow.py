"""read_workflow: reads only."""

from taskora.wire import ReadWorkflow
from tests.transitions.keyspace import NOW, RawTask
from tests.transitions.workflows import ID, KEY, stored


def test_all_fields_or_some_are_told_with_the_time(task: RawTask) -> None:
    before = stored("completed", "active", "active", "pending", n_0_result="3")
    task.seed({KEY: before})
    whole = task.run(ReadWorkflow(workflow_id=ID))
    assert (whole.now_ms, {name: value.decode() for name, value in whole.values.items()}) == (NOW, before)
    some = task.run(ReadWorkflow(workflow_id=ID, names=["state", "none", "n:0:result"]))
    assert some.values == {"state": b"running", "n:0:result": b"3"}
    assert task.dump() == {KEY: before}


def test_of_a_workflow_that_is_gone_nothing_is_told(task: RawTask) -> None:
    assert task.run(ReadWorkflow(workflow_id=ID)).values == {}
    assert task.run(ReadWorkflow(workflow_id=ID, names=["state"])).values == {}
