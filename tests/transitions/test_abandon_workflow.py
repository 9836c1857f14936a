"""abandon_workflow: (none) -> cancelled."""

from taskora.wire import AbandonWorkflow
from tests.transitions.keyspace import NOW, Expires, RawTask
from tests.transitions.workflows import ID, KEY, stored


def test_a_workflow_that_was_never_created_cannot_be_created_for_a_while(task: RawTask) -> None:
    assert task.run(AbandonWorkflow(workflow_id=ID)) is True
    assert task.dump() == {KEY: Expires({"state": "cancelled", "createdAt": str(NOW), "error": "never created"})}


def test_one_that_exists_goes_on(task: RawTask) -> None:
    before = stored("pending", "pending", "pending", "pending")
    task.seed({KEY: before})
    assert task.run(AbandonWorkflow(workflow_id=ID)) is False
    assert task.dump() == {KEY: before}


def test_given_up_once_more_it_has_another_instant(task: RawTask) -> None:
    task.run(AbandonWorkflow(workflow_id=ID))
    assert task.run(AbandonWorkflow(workflow_id=ID), now_ms=NOW + 5) is True
    assert task.dump() == {KEY: Expires({"state": "cancelled", "createdAt": str(NOW + 5), "error": "never created"})}
