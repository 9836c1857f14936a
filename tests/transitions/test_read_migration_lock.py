"""read_migration_lock: reads only."""

from taskora.wire import ReadMigrationLock
from tests.transitions.keyspace import RawTask


def test_the_text_of_the_lock(task: RawTask) -> None:
    task.client.set("taskora:migration:lock", '{"targetWireVersion":7}', px=60_000)
    assert task.run(ReadMigrationLock()) == b'{"targetWireVersion":7}'


def test_without_a_lock_the_text_is_empty(task: RawTask) -> None:
    assert task.run(ReadMigrationLock()) == b""
