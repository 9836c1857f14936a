"""handshake: meta record (none) -> written."""

import pytest

from taskora.wire import OURS, Handshake, StoredMeta
from tests.transitions.keyspace import NOW, RawTask, Value

WRITTEN = {"wireVersion": "6", "minCompat": "6", "writtenBy": "taskora-wire-6", "writtenAt": str(NOW)}


def test_the_first_one_writes_what_it_speaks(task: RawTask) -> None:
    reply = task.run(Handshake(ours=OURS))
    assert reply == StoredMeta(wire_version="6", min_compat="6", written_by="taskora-wire-6", written_at=str(NOW))
    assert task.dump() == {"taskora:meta": WRITTEN}


def test_the_next_one_changes_nothing(task: RawTask) -> None:
    task.run(Handshake(ours=OURS))
    assert task.run(Handshake(ours=OURS), now_ms=NOW + 5).written_at == str(NOW)
    assert task.dump() == {"taskora:meta": WRITTEN}


@pytest.mark.parametrize("damage", [{"writtenBy": "somebody"}, "a string", ["a list"]])
def test_a_damaged_record_is_told_as_it_is_and_not_overwritten(task: RawTask, damage: Value) -> None:
    task.seed({"taskora:meta": damage})
    reply = task.run(Handshake(ours=OURS))
    assert (reply.wire_version, reply.min_compat, reply.written_at) == ("", "", "")
    assert task.dump() == {"taskora:meta": damage}
