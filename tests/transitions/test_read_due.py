"""read_due: reads only."""

from taskora.wire import DueTimes, ReadDue
from tests.transitions.keyspace import NOW, Dump, RawTask, Scores

NEXT = "taskora:schedules:next"


def test_due_times_are_read_with_the_time(task: RawTask) -> None:
    assert task.run(ReadDue()) == DueTimes(now_ms=NOW, earliest_ms=None, due={})
    seeded: Dump = {NEXT: Scores({"b": NOW + 5, "a": NOW + 7, "c": NOW + 9})}
    task.seed(seeded)
    assert task.run(ReadDue()) == DueTimes(now_ms=NOW, earliest_ms=NOW + 5, due={})
    found = task.run(ReadDue(names=["a", "nobody", "c"]))
    assert found == DueTimes(now_ms=NOW, earliest_ms=NOW + 5, due={"a": NOW + 7, "c": NOW + 9})
    assert task.dump() == seeded
