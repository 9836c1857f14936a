"""The meta record, the migration lock, and closing."""

import json

import pytest

from taskora.contracts import BackendError
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import Subject
from taskora.wire import OURS, Handshake, Meta, ReadMigrationLock, check_meta


class TestHandshake(Cases):
    """The meta record, the migration lock, and closing."""

    async def test_the_first_program_says_what_it_speaks_and_later_ones_read_it(self, subject: Subject) -> None:
        first = await subject.run(Handshake(ours=OURS))
        subject.advance(50)
        later = Meta(wire_version=99, min_compat=98, written_by="somebody else")
        assert await subject.run(Handshake(ours=later)) == first
        assert (first.wire_version, first.min_compat, first.written_by) == ("6", "6", "taskora-wire-6")
        check_meta(first)

    async def test_a_migration_lock_can_be_read(self, subject: Subject) -> None:
        assert await subject.run(ReadMigrationLock()) == b""
        text = json.dumps({"targetWireVersion": 7}).encode()
        subject.tricks.lock_for_migration(text)
        assert await subject.run(ReadMigrationLock()) == text

    async def test_a_closed_backend_refuses_operations(self, async_subject: Subject) -> None:
        await async_subject.enqueue("a")
        await async_subject.backend.close()
        with pytest.raises(BackendError, match="closed"):
            await async_subject.enqueue("b")

    async def test_closing_the_view_for_threads_does_not_close_the_backend(self, async_subject: Subject) -> None:
        sync = async_subject.backend.blocking()
        sync.run(ReadMigrationLock())
        sync.close()
        with pytest.raises(BackendError, match="closed"):
            sync.run(ReadMigrationLock())
        assert await async_subject.enqueue("a") == (True,)
