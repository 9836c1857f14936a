"""A storage in memory that tells a runner what is done to it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar, cast

from taskora.testing._clock import VirtualClock
from taskora.testing._journal import Journal
from taskora.testing._recording import Listener
from taskora.wire import (
    Cancellation,
    CountJobs,
    CountVersions,
    EventFeed,
    Exchange,
    ExtendLeases,
    ForgetUntold,
    LastEvent,
    ListJobs,
    Operation,
    PostponeUntold,
    Prune,
    ReadCollect,
    ReadJob,
    ReadLinks,
    ReadLogs,
    ReadStatuses,
    ReadUntold,
    Report,
    ReportEntry,
    ReserveStart,
    StreamEvent,
    SyncBackend,
    TellWorkflowEnd,
    decode_log,
    encode_log,
)
from taskora.wire.backends import MemoryBackend

R = TypeVar("R")

# Operations after which no job is ready that was not ready before.
_IDLE: Final = (
    CountJobs,
    CountVersions,
    ExtendLeases,
    ForgetUntold,
    LastEvent,
    ListJobs,
    PostponeUntold,
    Prune,
    ReadCollect,
    ReadJob,
    ReadLinks,
    ReadLogs,
    ReadStatuses,
    ReadUntold,
    Report,
    ReserveStart,
    TellWorkflowEnd,
)


class Waiting(Protocol):
    """Who wants to know that somebody waits for a job."""

    def __call__(self, task: str, job_id: str) -> AbstractAsyncContextManager[None]:
        """Entered before a wait begins, left when it is over."""
        ...


class Observer:
    """Hears of every operation, from whatever thread it comes."""

    def __init__(self, journal: Journal, on_change: Callable[[str], None]) -> None:
        self._journal: Final = journal
        self._on_change: Final = on_change

    def done(self, operation: Operation[Any], *, by_lane: bool) -> None:
        """An operation is complete. What a lane exchanges concerns itself, and it knows what comes of it."""
        task = cast("str | None", getattr(operation, "task", None))
        if task is None:
            return
        self._journal.note(task)
        if not isinstance(operation, _IDLE) and not (by_lane and isinstance(operation, Exchange)):
            self._on_change(task)


def stamped(report: Report, now_ms: int) -> Report:
    """The same report, with log entries of an instant.

    Handlers write the time of their machine, as they must in threads and processes. While one works, the time of a
    runner stands still, so the instant at which an entry is stored is the one at which it was written.
    """
    return replace(report, entries=[_stamped(entry, now_ms) for entry in report.entries])


def _stamped(entry: ReportEntry, now_ms: int) -> ReportEntry:
    if entry.kind != "log":
        return entry
    return replace(entry, payload=encode_log(replace(decode_log(entry.payload), timestamp_ms=now_ms)))


class ObservedBackend:
    """A `Backend` over the jobs of a runner. Takes part in its virtual time.

    Attributes:
        listeners: Hear of each operation that comes this way, and its reply.
    """

    def __init__(
        self, memory: MemoryBackend, clock: VirtualClock, observer: Observer, waiting: Waiting, *, by_lane: bool = False
    ) -> None:
        self._memory: Final = memory
        self._clock: Final = clock
        self._observer: Final = observer
        self._by_lane: Final = by_lane
        self.waiting_for: Final = waiting
        self.listeners: Final[list[Listener]] = []

    async def run(self, operation: Operation[R]) -> R:
        """Carries out one operation; see `Backend.run`."""
        if isinstance(operation, Report):
            operation = cast("Operation[R]", stamped(operation, self._clock.now_ms()))
        reply = await self._memory.run(operation)
        self._observer.done(operation, by_lane=self._by_lane)
        for listener in self.listeners:
            listener(operation, reply)
        return reply

    async def wait_for_work(self, task: str, *, timeout_ms: int, now_ms: int) -> None:
        """Waits for the wake-up token of a task; see `Backend.wait_for_work`."""
        await self._memory.wait_for_work(task, timeout_ms=timeout_ms, now_ms=now_ms)

    def cancellations(self, tasks: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Cancellation]]:
        """Requests to cancel active jobs; see `Backend.cancellations`."""
        return self._memory.cancellations(tasks)

    def open_feed(self) -> EventFeed:
        """A new reader of event streams; see `EventFeed`."""
        return self._memory.open_feed()

    def blocking(self) -> "ObservedSyncBackend":
        """The same jobs for threads."""
        return ObservedSyncBackend(self._memory.blocking(), self._observer, self.listeners)

    async def close(self) -> None:
        """Does nothing: the jobs are the runner's."""


class ObservedSyncBackend:
    """A `SyncBackend` over the jobs of a runner."""

    def __init__(self, inner: SyncBackend, observer: Observer, listeners: list[Listener]) -> None:
        self._inner: Final = inner
        self._observer: Final = observer
        self._listeners: Final = listeners

    def run(self, operation: Operation[R]) -> R:
        """Carries out one operation; see `SyncBackend.run`."""
        reply = self._inner.run(operation)
        self._observer.done(operation, by_lane=False)
        for listener in self._listeners:
            listener(operation, reply)
        return reply

    def read_events(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Reads events; see `SyncBackend.read_events`."""
        return self._inner.read_events(positions, block_ms=block_ms, limit=limit)

    def close(self) -> None:
        """Does nothing: the jobs are the runner's."""
