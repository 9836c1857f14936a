"""This process's memory, for asyncio."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self, TypeVar

from taskora.wire._backend import Cancellation, Clock, EventFeed, SyncBackend
from taskora.wire._operations import Operation
from taskora.wire.backends._memory import _work
from taskora.wire.backends._memory._feed import MemoryFeed
from taskora.wire.backends._memory._session import Session
from taskora.wire.backends._memory._store import Store, WallClock
from taskora.wire.backends._memory._subscriber import Subscriber
from taskora.wire.backends._memory._sync import SyncMemoryBackend

R = TypeVar("R")


class MemoryBackend:
    """Jobs in the memory of this process, for tests and for trying things out. They end with the process.

    Unlike a Redis backend it may be used from several event loops at once. Everything happens at the time of `clock`,
    also the end of a lease; whoever moves a clock by hand calls `notify_time` afterwards.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._store = Store(clock or WallClock())
        self._session = Session()

    @classmethod
    def _over(cls, store: Store) -> Self:
        """Another backend of jobs that exist already, to be closed by itself."""
        backend = cls()
        backend._store = store
        return backend

    async def run(self, operation: Operation[R]) -> R:
        """Carries out one operation; see `Backend.run`."""
        await asyncio.sleep(0)  # a loop of operations must not starve the other coroutines
        self._session.check_open()
        return self._store.execute(operation)

    def notify_time(self) -> None:
        """Says that the clock was moved: whoever waits for an instant that has come goes on."""
        self._store.notify_time()

    def next_due_ms(self, task: str) -> int | None:
        """The next instant after now at which workers of a task have a reason to look for work, in epoch milliseconds.

        Now, if they have one only now; None if they have none.
        """
        return self._store.next_due_ms(task)

    def make_due(self, task: str, job_id: str) -> bool:
        """Makes a delayed job due now; false when it is not delayed."""
        return self._store.make_due(task, job_id)

    def clear(self) -> None:
        """Forgets all jobs, workflows, schedules and events. Whoever waits, or follows events, goes on to do so."""
        self._store.clear()

    async def wait_for_work(self, task: str, *, timeout_ms: int, now_ms: int) -> None:
        """Waits for the wake-up token of a task, by the clock of this backend; see `Backend.wait_for_work`."""
        del now_ms  # an estimate of what this backend knows
        await _work.wait_for_work(self._store, self._session, task, timeout_ms)

    @asynccontextmanager
    async def cancellations(self, tasks: Sequence[str]) -> AsyncGenerator[AsyncIterator[Cancellation]]:
        """Requests to cancel active jobs; see `Backend.cancellations`."""
        with self._session.sleeper() as sleeper:
            subscriber = Subscriber(sleeper)
            with self._store.subscribed(tasks, subscriber):
                yield self._messages(subscriber)

    async def _messages(self, subscriber: Subscriber) -> AsyncIterator[Cancellation]:
        while True:
            while subscriber.messages:
                yield subscriber.messages.popleft()
            self._session.check_open()
            await subscriber.sleeper.sleep()

    def open_feed(self) -> EventFeed:
        """A new reader of event streams; see `EventFeed`."""
        return MemoryFeed(self._store, self._session)

    def blocking(self) -> SyncBackend:
        """The same jobs for threads."""
        return SyncMemoryBackend(self._store)

    async def close(self) -> None:
        """Refuses further operations and ends all waiting; the jobs stay."""
        self._session.close()
