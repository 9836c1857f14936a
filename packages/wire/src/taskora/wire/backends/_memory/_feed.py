"""Reading event streams."""

import asyncio
import time
from collections.abc import Mapping

from taskora.wire._events import StreamEvent
from taskora.wire.backends._memory._session import Session
from taskora.wire.backends._memory._store import Store
from taskora.wire.backends._memory._waiting import AsyncSleeper, ThreadSleeper


class MemoryFeed:
    """A reader for asyncio; see `EventFeed`."""

    def __init__(self, store: Store, session: Session) -> None:
        self._store = store
        self._session = session
        self._interrupted = False
        self._sleeper: AsyncSleeper | None = None

    async def read(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Reads events; see `EventFeed.read`."""
        await asyncio.sleep(0)  # a loop of reads must not starve the other coroutines
        with self._session.sleeper() as sleeper, self._store.reading(positions, sleeper):
            self._sleeper = sleeper
            try:
                return await self._read(positions, sleeper, block_ms, limit)
            finally:
                self._sleeper = None
                self._interrupted = False

    async def _read(
        self, positions: Mapping[str, str], sleeper: AsyncSleeper, block_ms: int, limit: int
    ) -> list[StreamEvent]:
        give_up_at = time.monotonic() + block_ms / 1000
        while not self._interrupted:
            self._session.check_open()
            events = self._store.events_after(positions, limit)
            seconds = give_up_at - time.monotonic()
            if events or seconds <= 0:
                return events
            await sleeper.sleep(seconds)
        return []

    async def interrupt(self) -> None:
        """Frees a waiting read; see `EventFeed.interrupt`."""
        self._interrupted = True
        if self._sleeper is not None:
            self._sleeper.wake()

    async def close(self) -> None:
        """Ends a waiting read."""
        await self.interrupt()


def read_blocking(store: Store, positions: Mapping[str, str], block_ms: int, limit: int) -> list[StreamEvent]:
    """Reads events in a thread; see `SyncBackend.read_events`."""
    events = store.events_after(positions, limit)
    if events or block_ms <= 0:
        return events
    sleeper = ThreadSleeper()
    give_up_at = time.monotonic() + block_ms / 1000
    with store.reading(positions, sleeper):
        while True:
            events = store.events_after(positions, limit)
            seconds = give_up_at - time.monotonic()
            if events or seconds <= 0:
                return events
            sleeper.sleep(seconds)
