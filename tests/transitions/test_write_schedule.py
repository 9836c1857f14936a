"""write_schedule: record of a schedule -> another one, or none."""

from taskora.wire import WriteSchedule
from tests.transitions.keyspace import RawTask

KEY = "taskora:schedules"


def test_a_new_record_is_written_where_there_was_none(task: RawTask) -> None:
    assert task.run(WriteSchedule(name="s", expected=None, record=b"{}"))
    assert task.dump() == {KEY: {"s": "{}"}}
    assert task.run(WriteSchedule(name="s", expected=None, record=b"{}"))
    assert not task.run(WriteSchedule(name="s", expected=None, record=b"[]"))
    assert task.dump() == {KEY: {"s": "{}"}}


def test_a_record_is_replaced_or_deleted_if_it_is_the_one_that_was_read(task: RawTask) -> None:
    task.seed({KEY: {"s": "1", "t": "2"}})
    assert not task.run(WriteSchedule(name="s", expected=b"7", record=b"3"))
    assert not task.run(WriteSchedule(name="s", expected=b"7", record=None))
    assert task.run(WriteSchedule(name="s", expected=b"1", record=b"3"))
    assert task.run(WriteSchedule(name="t", expected=b"2", record=None))
    assert task.dump() == {KEY: {"s": "3"}}
    assert task.run(WriteSchedule(name="t", expected=b"2", record=None))
