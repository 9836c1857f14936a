"""tell_workflow_end: event only."""

from taskora.wire import TellWorkflowEnd
from tests.transitions.keyspace import Events, RawTask, event
from tests.transitions.workflows import ID


def test_the_end_is_an_event_of_a_task(task: RawTask) -> None:
    task.run(TellWorkflowEnd(task="t", workflow_id=ID, state="failed"))
    assert task.dump() == {"events": Events([event("workflow", ID, state="failed")])}
