"""read_due: reads only."""

from taskora.wire import DueTimes, ReadDue
from tests.transitions.keyspace import NOW, RawTask, Scores

NEXT = "taskora:schedules:next"


def test_due_times_are_read_with_the_time(task: RawTask) -> None:
    assert task.run(ReadDue()) == DueTimes(now_ms=NOW, due={})
    task.seed({NEXT: Scores({"b": NOW + 5, "a": NOW + 7})})
    found = task.run(ReadDue())
    assert found == DueTimes(now_ms=NOW, due={"b": NOW + 5, "a": NOW + 7})
    assert [*found.due] == ["b", "a"]
