"""tell_workflow_end: event only."""

import pytest
import redis

from taskora.wire import TellWorkflowEnd
from tests.transitions.keyspace import Events, RawTask, event
from tests.transitions.workflows import ID


def test_the_end_is_an_event_of_a_task(task: RawTask) -> None:
    task.run(TellWorkflowEnd(task="t", workflow_id=ID, state="failed"))
    assert task.dump() == {"events": Events([event("workflow", ID, state="failed")])}


def test_events_that_cannot_be_written_are_an_error_here(task: RawTask) -> None:
    task.seed({"events": "no stream"})
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        task.run(TellWorkflowEnd(task="t", workflow_id=ID, state="failed"))
