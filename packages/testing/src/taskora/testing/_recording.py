"""A storage that tells somebody what was asked of it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias, TypeVar

from taskora.wire import Backend, Cancellation, EventFeed, Operation, StreamEvent, SyncBackend

R = TypeVar("R")

Listener: TypeAlias = Callable[[Operation[Any], Any], None]


class RecordingBackend:
    """A `Backend` whose listener hears of each operation and its reply."""

    def __init__(self, inner: Backend, listener: Listener) -> None:
        self._inner: Final = inner
        self._listener: Final = listener

    async def run(self, operation: Operation[R]) -> R:
        """Carries out one operation; see `Backend.run`."""
        reply = await self._inner.run(operation)
        self._listener(operation, reply)
        return reply

    async def wait_for_work(self, task: str, *, timeout_ms: int, now_ms: int) -> None:
        """Waits until jobs of a task may be ready; see `Backend.wait_for_work`."""
        await self._inner.wait_for_work(task, timeout_ms=timeout_ms, now_ms=now_ms)

    def cancellations(self, tasks: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Cancellation]]:
        """Requests to cancel active jobs; see `Backend.cancellations`."""
        return self._inner.cancellations(tasks)

    def open_feed(self) -> EventFeed:
        """A new reader of event streams; see `EventFeed`."""
        return self._inner.open_feed()

    def blocking(self) -> "RecordingSyncBackend":
        """The same storage for threads."""
        return RecordingSyncBackend(self._inner.blocking(), self._listener)

    async def close(self) -> None:
        """Closes the storage."""
        await self._inner.close()


class RecordingSyncBackend:
    """A `SyncBackend` whose listener hears of each operation and its reply."""

    def __init__(self, inner: SyncBackend, listener: Listener) -> None:
        self._inner: Final = inner
        self._listener: Final = listener

    def run(self, operation: Operation[R]) -> R:
        """Carries out one operation; see `SyncBackend.run`."""
        reply = self._inner.run(operation)
        self._listener(operation, reply)
        return reply

    def read_events(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Reads events; see `SyncBackend.read_events`."""
        return self._inner.read_events(positions, block_ms=block_ms, limit=limit)

    def close(self) -> None:
        """Closes the view."""
        self._inner.close()
