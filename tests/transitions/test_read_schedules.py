"""read_schedules: reads only."""

from taskora.wire import ReadSchedules
from tests.transitions.keyspace import RawTask

KEY = "taskora:schedules"


def test_some_or_all_records_are_read(task: RawTask) -> None:
    assert task.run(ReadSchedules()) == {}
    task.seed({KEY: {"s": "1", "t": "2"}})
    assert task.run(ReadSchedules()) == {"s": b"1", "t": b"2"}
    assert task.run(ReadSchedules(names=["t", "nobody"])) == {"t": b"2"}
    assert task.dump() == {KEY: {"s": "1", "t": "2"}}
