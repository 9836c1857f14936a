"""What asyncio producers and their handles share: a backend, group commits, one reader for all waits."""

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from taskora.contracts import BackendError, TaskContract, UsageError
from taskora.producer._awaiting import Awaited, AwaitEvents, Deadline, closed_error
from taskora.producer._dispatching import AnyJob, Reply, batch_length, batches, enqueue, left_behind
from taskora.producer._group_commit import GroupCommit
from taskora.producer._payload import Payloads, check_serializer
from taskora.producer._waiting import ResultHub, Seen
from taskora.wire import (
    Backend,
    EventFeed,
    Flow,
    JobStatus,
    JsonSerializer,
    Operation,
    Pause,
    Serializer,
    Together,
    drive_async,
    may_pass,
    waiting_for,
)
from taskora.wire.backends import Target, open_backend

if TYPE_CHECKING:
    from taskora.producer._event_cursor import EventCursor
    from taskora.producer._events import AnyJobEvent
    from taskora.wire import WorkflowStatus

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output
R = TypeVar("R")
AsyncTarget: TypeAlias = Target
Step: TypeAlias = Operation[Any] | Together | Pause | AwaitEvents


class Outlet:
    """What belongs to one backend: it, those who wait for its jobs, and what is on its way there."""

    __slots__ = ("backend", "commits", "feeds", "hub", "owns_backend")

    def __init__(self, backend: Backend, *, owns_backend: bool) -> None:
        self.backend: Final = backend
        self.owns_backend: Final = owns_backend
        self.hub: Final = ResultHub(backend)
        self.commits: Final[dict[str, GroupCommit[AnyJob, Reply]]] = {}
        self.feeds: Final[set[EventFeed]] = set()

    async def close(self) -> None:
        """Ends all waits, and closes the backend if it was opened for this outlet."""
        await self.hub.close()
        for feed in tuple(self.feeds):
            await feed.interrupt()
        if self.owns_backend:
            await self.backend.close()

    def abandon(self) -> None:
        """The same without an event loop, as far as that goes."""
        self.hub.abandon()


class AsyncSession:
    """One connection's worth of producing. `plain` and `json` turn stored bytes into plain values."""

    def __init__(self, target: AsyncTarget, *, prefix: str | None, serializer: Serializer | None) -> None:
        self.json: Final[Serializer] = JsonSerializer()
        self.plain: Final[Serializer] = check_serializer(serializer) or self.json
        self._serializer: Final = serializer
        backend = open_backend(target, prefix=prefix)
        self._outlet = Outlet(backend, owns_backend=backend is not target)
        self._set_aside: Outlet | None = None  # the outlet that comes back when a diversion ends
        self._closed = False

    @property
    def backend(self) -> Backend:
        """Where operations go."""
        return self._outlet.backend

    def divert(self, backend: Backend) -> None:
        """Sends everything to another backend until `restore`, although the session may be closed.

        Waits and loops over events that are under way stay where they are. A second diversion replaces the first.
        """
        self._set_aside = self._set_aside or self._outlet
        self._outlet = Outlet(backend, owns_backend=False)

    def restore(self) -> Outlet | None:
        """Ends the diversion; returns its outlet, which is the caller's to close."""
        if self._set_aside is None:
            return None
        outlet, self._outlet, self._set_aside = self._outlet, self._set_aside, None
        return outlet

    @property
    def closed(self) -> bool:
        """Whether `close` was called. A diversion is open all the same: it ends by `restore`."""
        return self._closed and self._set_aside is None

    def check_open(self) -> None:
        """Does nothing while the producer is open.

        Raises:
            UsageError: it is closed.
        """
        if self.closed:
            raise closed_error()

    def payloads(self, contract: TaskContract[I, O]) -> Payloads[I, O]:
        """The codecs of a contract."""
        return Payloads(contract, self._serializer)

    def run(self, operation: Operation[R]) -> Coroutine[Any, Any, R]:
        """Carries out one operation."""
        if self._closed:  # or diverted
            self.check_open()
        return self._outlet.backend.run(operation)

    async def drive(self, flow: Flow[R], feed: EventFeed | None = None) -> R:
        """Runs a flow of operations and pauses, and of waits for events if it is given a feed."""
        self.check_open()

        async def perform(step: Step) -> Any:
            self.check_open()
            if isinstance(step, Pause):
                return await asyncio.sleep(step.seconds)
            if isinstance(step, Together):
                return await asyncio.gather(*map(self.backend.run, step.operations))
            if isinstance(step, AwaitEvents):
                assert feed is not None
                return await feed.read(step.positions, block_ms=step.block_ms)
            return await self.backend.run(step)

        return await drive_async(flow, perform)

    def enqueue(self, contract: TaskContract[Any, Any], job: AnyJob) -> Coroutine[Any, Any, Reply]:
        """Enqueues a job; concurrent calls share round trips."""
        if self._closed:
            self.check_open()
        commit = self._outlet.commits.get(contract.name)
        if commit is None:
            commit = GroupCommit[AnyJob, Reply](partial(self._send, contract), cut=batch_length, spreads=may_pass)
            self._outlet.commits[contract.name] = commit
        return commit.submit(job)

    async def enqueue_many(self, contract: TaskContract[Any, Any], jobs: Sequence[AnyJob]) -> list[Reply]:
        """Enqueues a batch of its own."""
        self.check_open()
        sent: list[Reply] = []
        for batch in batches(jobs):
            try:
                sent += await self._send(contract, batch)
            except BackendError as error:
                error.add_note(left_behind(len(sent), len(batch), len(jobs)))
                raise
        return sent

    def _send(self, contract: TaskContract[Any, Any], jobs: Sequence[AnyJob]) -> Coroutine[Any, Any, Sequence[Reply]]:
        return self.run(enqueue(contract, jobs))

    async def settled(self, task: str, job_id: str, deadline: Deadline) -> JobStatus | None:
        """Waits for the end of a job."""
        self.check_open()
        outlet = self._outlet
        async with waiting_for(outlet.backend, task, job_id):
            return await outlet.hub.wait(task, job_id, deadline)

    async def workflow_ended(self, awaited: Awaited, deadline: Deadline) -> "WorkflowStatus | None":
        """Waits for the end of a workflow."""
        from taskora.producer._workflow_waiting import has_ended, look_at_workflow

        self.check_open()
        outlet = self._outlet

        async def look() -> "Seen[WorkflowStatus | None] | None":
            status = await self.drive(look_at_workflow(awaited.id))
            return Seen(status) if has_ended(status) else None

        async with waiting_for(outlet.backend, awaited.told_in, awaited.id):
            return await outlet.hub.wait_until(awaited, look, deadline)

    def open_feed(self) -> EventFeed:
        """A new reader of event streams, to be given back by `close_feed`."""
        self.check_open()
        feed = self.backend.open_feed()
        self._outlet.feeds.add(feed)
        return feed

    async def next_events(self, cursor: "EventCursor", feed: EventFeed) -> "list[AnyJobEvent[Any]]":
        """Some events, as soon as there are any; none once the producer is closed."""
        while not self.closed:
            try:
                events = await self.drive(cursor.read(), feed)
            except UsageError:  # closed while it read
                return []
            if events:
                return events
        return []

    async def close_feed(self, feed: EventFeed) -> None:
        """Takes a feed back that nobody reads any more."""
        for outlet in (self._outlet, self._set_aside):
            if outlet is not None:
                outlet.feeds.discard(feed)
        await feed.close()

    async def close(self) -> None:
        """Ends all waits, and closes the backend if it was opened here."""
        if self._closed:
            return
        self._closed = True
        await (self._set_aside or self._outlet).close()
