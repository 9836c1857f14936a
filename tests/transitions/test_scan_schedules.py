"""scan_schedules: reads only."""

from taskora.wire import ScanSchedules, SchedulePage
from tests.transitions.keyspace import RawTask

KEY = "taskora:schedules"


def test_a_few_records_come_at_once(task: RawTask) -> None:
    assert task.run(ScanSchedules()) == SchedulePage(cursor="0", records={})
    task.seed({KEY: {"s": "1", "t": "2"}})
    assert task.run(ScanSchedules()) == SchedulePage(cursor="0", records={"s": b"1", "t": b"2"})
    assert task.dump() == {KEY: {"s": "1", "t": "2"}}


def test_many_come_in_pages_of_about_the_size_that_was_asked_for(task: RawTask) -> None:
    task.seed({KEY: {f"s{number}": "1" for number in range(2000)}})
    sizes, cursor = list[int](), "0"
    found: set[str] = set()
    while cursor != "0" or not sizes:
        page = task.run(ScanSchedules(cursor=cursor, limit=200))
        cursor, found = page.cursor, found | page.records.keys()
        sizes.append(len(page.records))
    assert found == {f"s{number}" for number in range(2000)}
    assert max(sizes) < 400
