"""What asyncio producers and their handles share: a backend, group commits, one reader for all waits."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeAlias, TypeVar

from taskora.contracts import TaskContract, UsageError
from taskora.producer._dispatching import AnyJob, batch_length, batches, enqueue
from taskora.producer._event_cursor import EventCursor
from taskora.producer._events import AnyJobEvent
from taskora.producer._group_commit import GroupCommit
from taskora.producer._payload import Payloads, check_serializer
from taskora.producer._results import AwaitEvents, Deadline
from taskora.producer._waiting import ResultHub, closed_error
from taskora.wire import (
    Admission,
    Backend,
    EventFeed,
    Flow,
    JobStatus,
    JsonSerializer,
    Operation,
    Pause,
    Serializer,
    drive_async,
)
from taskora.wire.backends import Target, open_backend

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output
R = TypeVar("R")
AsyncTarget: TypeAlias = Target


class AsyncSession:
    """One connection's worth of producing. `plain` and `json` turn stored bytes into plain values."""

    def __init__(self, target: AsyncTarget, *, prefix: str | None, serializer: Serializer | None) -> None:
        self.json: Final[Serializer] = JsonSerializer()
        self.plain: Final[Serializer] = check_serializer(serializer) or self.json
        self.backend: Final[Backend] = open_backend(target, prefix=prefix)
        self._serializer: Final = serializer
        self._owns_backend: Final = self.backend is not target
        self._hub: Final = ResultHub(self.backend)
        self._commits: Final[dict[TaskContract[Any, Any], GroupCommit[AnyJob, Admission]]] = {}
        self._feeds: Final[set[EventFeed]] = set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def check_open(self) -> None:
        """Does nothing while the producer is open.

        Raises:
            UsageError: it is closed.
        """
        if self._closed:
            raise closed_error()

    def payloads(self, contract: TaskContract[I, O]) -> Payloads[I, O]:
        """The codecs of a contract."""
        return Payloads(contract, self._serializer)

    async def run(self, operation: Operation[R]) -> R:
        """Carries out one operation."""
        self.check_open()
        return await self.backend.run(operation)

    async def drive(self, flow: Flow[R], feed: EventFeed | None = None) -> R:
        """Runs a flow of operations and pauses, and of waits for events if it is given a feed."""
        self.check_open()

        async def perform(step: Operation[Any] | Pause | AwaitEvents) -> Any:
            self.check_open()
            if isinstance(step, Pause):
                return await asyncio.sleep(step.seconds)
            if isinstance(step, AwaitEvents):
                assert feed is not None
                return await feed.read(step.positions, block_ms=step.block_ms)
            return await self.backend.run(step)

        return await drive_async(flow, perform)

    async def enqueue(self, contract: TaskContract[Any, Any], job: AnyJob) -> Admission:
        """Enqueues a job; concurrent calls share round trips."""
        self.check_open()
        commit = self._commits.get(contract)
        if commit is None:
            commit = GroupCommit[AnyJob, Admission](lambda jobs: self._send(contract, jobs), cut=batch_length)
            self._commits[contract] = commit
        return await commit.submit(job)

    async def enqueue_many(self, contract: TaskContract[Any, Any], jobs: Sequence[AnyJob]) -> list[Admission]:
        """Enqueues a batch of its own."""
        self.check_open()
        admissions: list[Admission] = []
        for batch in batches(jobs):
            admissions += await self._send(contract, batch)
        return admissions

    async def _send(self, contract: TaskContract[Any, Any], jobs: Sequence[AnyJob]) -> Sequence[Admission]:
        return await self.drive(enqueue(contract, jobs))

    async def settled(self, task: str, job_id: str, deadline: Deadline) -> JobStatus | None:
        """Waits for the end of a job."""
        self.check_open()
        return await self._hub.wait(task, job_id, deadline)

    def open_feed(self) -> EventFeed:
        """A new reader of event streams, to be given back by `close_feed`."""
        self.check_open()
        feed = self.backend.open_feed()
        self._feeds.add(feed)
        return feed

    async def next_events(self, cursor: EventCursor, feed: EventFeed) -> list[AnyJobEvent[Any]]:
        """Some events, as soon as there are any; none once the producer is closed."""
        while not self._closed:
            try:
                events = await self.drive(cursor.read(), feed)
            except UsageError:  # closed while it read
                return []
            if events:
                return events
        return []

    async def close_feed(self, feed: EventFeed) -> None:
        """Takes a feed back that nobody reads any more."""
        self._feeds.discard(feed)
        await feed.close()

    async def close(self) -> None:
        """Ends all waits, and closes the backend if it was opened here."""
        if self._closed:
            return
        self._closed = True
        await self._hub.close()
        for feed in tuple(self._feeds):
            await feed.interrupt()
        if self._owns_backend:
            await self.backend.close()
