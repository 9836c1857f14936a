"""last_event: reads only."""

from taskora.wire import LastEvent
from tests.transitions.keyspace import RawTask


def test_the_position_of_the_newest_event(task: RawTask) -> None:
    for position in ("5-1", "7-0"):
        task.client.xadd("taskora:{t}:events", {"event": "waiting", "jobId": "j1"}, id=position)
    assert task.run(LastEvent(task="t")) == "7-0"


def test_a_stream_that_was_never_written_starts_at_zero(task: RawTask) -> None:
    assert task.run(LastEvent(task="t")) == "0-0"
    assert task.dump() == {}
