"""read_collect: reads only."""

from taskora.wire import Batch, ReadCollect
from tests.transitions.keyspace import NOW, Dump, Expires, RawTask

READ = ReadCollect(task="t", key="a")


def test_an_unused_key_holds_nothing(task: RawTask) -> None:
    assert task.run(READ) == Batch(items=(), count=0, first_ms=None, last_ms=None)
    assert task.dump() == {}


def test_items_come_oldest_first_and_stay(task: RawTask) -> None:
    before: Dump = {
        "collect:a:items": ["1", '"x"'],
        "collect:a:meta": {"count": "2", "firstAt": str(NOW - 5), "lastAt": str(NOW)},
        "collect:a:job": Expires("c"),
    }
    task.seed(before)
    assert task.run(READ) == Batch(items=(b"1", b'"x"'), count=2, first_ms=NOW - 5, last_ms=NOW)
    assert task.dump() == before


def test_damaged_numbers_are_none(task: RawTask) -> None:
    task.seed({"collect:a:items": ["1"], "collect:a:meta": {"count": "1", "firstAt": "soon"}})
    assert task.run(READ) == Batch(items=(b"1",), count=1, first_ms=None, last_ms=None)
