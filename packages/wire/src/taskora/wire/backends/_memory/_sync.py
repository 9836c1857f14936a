"""This process's memory, for threads."""

from collections.abc import Mapping
from typing import TypeVar

from taskora.wire._events import StreamEvent
from taskora.wire._operations import Operation
from taskora.wire.backends._memory._feed import read_blocking
from taskora.wire.backends._memory._session import Session
from taskora.wire.backends._memory._store import Store

R = TypeVar("R")


class SyncMemoryBackend:
    """The same jobs as those of the `MemoryBackend` that made it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session = Session()

    def run(self, operation: Operation[R]) -> R:
        """Carries out one operation; see `SyncBackend.run`."""
        self._session.check_open()
        return self._store.execute(operation)

    def read_events(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Reads events; see `SyncBackend.read_events`."""
        self._session.check_open()
        return read_blocking(self._store, positions, block_ms, limit)

    def close(self) -> None:
        """Refuses further operations; the jobs stay."""
        self._session.close()
