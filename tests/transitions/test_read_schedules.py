"""read_schedules: reads only."""

from taskora.wire import ReadSchedules
from tests.transitions.keyspace import RawTask

KEY = "taskora:schedules"


def test_some_records_are_read(task: RawTask) -> None:
    assert task.run(ReadSchedules(names=["s"])) == {}
    task.seed({KEY: {"s": "1", "t": "2"}})
    assert task.run(ReadSchedules(names=["t", "nobody"])) == {"t": b"2"}
    assert task.run(ReadSchedules(names=[])) == {}
    assert task.dump() == {KEY: {"s": "1", "t": "2"}}
