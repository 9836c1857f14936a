"""What synchronous producers and their handles share: a backend. Each wait uses a connection of its own thread."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from taskora.contracts import BackendError, JobTimeoutError, TaskContract, UsageError
from taskora.producer._awaiting import LAST_LOOK_S, Awaited, AwaitEvents, Deadline, closed_error
from taskora.producer._dispatching import AnyJob, Reply, batches, enqueue, left_behind
from taskora.producer._payload import Payloads, check_serializer
from taskora.producer._results import job_ended
from taskora.wire import (
    Flow,
    JobStatus,
    JsonSerializer,
    Operation,
    Pause,
    Serializer,
    StreamEvent,
    SyncBackend,
    Together,
    drive,
    run_together,
)
from taskora.wire.backends import SyncTarget as Target
from taskora.wire.backends import open_sync_backend

if TYPE_CHECKING:
    from taskora.producer._event_cursor import EventCursor
    from taskora.producer._events import AnyJobEvent
    from taskora.wire import WorkflowStatus

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output
R = TypeVar("R")
SyncTarget: TypeAlias = Target
Step: TypeAlias = Operation[Any] | Together | Pause | AwaitEvents


class Feed:
    """A reader of event streams for one thread; between two reads it holds nothing."""

    __slots__ = ("_backend",)

    def __init__(self, backend: SyncBackend) -> None:
        self._backend = backend

    def read(self, positions: Mapping[str, str], *, block_ms: int) -> list[StreamEvent]:
        """Events after the given positions, by task; waits up to `block_ms` for the first one."""
        return self._backend.read_events(positions, block_ms=block_ms)


class Session:
    """One application's worth of producing, for any number of threads."""

    def __init__(self, target: SyncTarget, *, prefix: str | None, serializer: Serializer | None) -> None:
        self.json: Final[Serializer] = JsonSerializer()
        self.plain: Final[Serializer] = check_serializer(serializer) or self.json
        self.backend: Final[SyncBackend] = open_sync_backend(target, prefix=prefix)
        self._serializer: Final = serializer
        self._owns_backend: Final = self.backend is not target
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

    def run(self, operation: Operation[R]) -> R:
        """Carries out one operation."""
        self.check_open()
        return self.backend.run(operation)

    def drive(self, flow: Flow[R], feed: Feed | None = None, abandoned: threading.Event | None = None) -> R:
        """Runs a flow of operations, pauses, and waits for events if it is given a feed, until it is abandoned."""
        self.check_open()

        def perform(step: Step) -> Any:
            self.check_open()
            if abandoned is not None and abandoned.is_set():
                raise TimeoutError("nobody waits any more")
            if isinstance(step, Pause):
                return time.sleep(step.seconds)
            if isinstance(step, Together):
                return run_together(self.backend, step.operations)
            if isinstance(step, AwaitEvents):
                assert feed is not None
                return feed.read(step.positions, block_ms=step.block_ms)
            return self.backend.run(step)

        return drive(flow, perform)

    def enqueue(self, contract: TaskContract[Any, Any], job: AnyJob) -> Reply:
        """Enqueues a job."""
        return self._send(contract, (job,))[0]

    def enqueue_many(self, contract: TaskContract[Any, Any], jobs: Sequence[AnyJob]) -> list[Reply]:
        """Enqueues a batch."""
        self.check_open()
        sent: list[Reply] = []
        for batch in batches(jobs):
            try:
                sent += self._send(contract, batch)
            except BackendError as error:
                error.add_note(left_behind(len(sent), len(batch), len(jobs)))
                raise
        return sent

    def _send(self, contract: TaskContract[Any, Any], jobs: Sequence[AnyJob]) -> Sequence[Reply]:
        return self.run(enqueue(contract, jobs))

    def settled(self, task: str, job_id: str, deadline: Deadline) -> JobStatus | None:
        """Waits for the end of a job, and not much longer than the deadline even for a server that does not answer."""
        return self._wait(lambda: job_ended(task, job_id, deadline), Awaited(task, job_id), deadline)

    def workflow_ended(self, awaited: Awaited, deadline: Deadline) -> "WorkflowStatus | None":
        """Waits for the end of a workflow."""
        from taskora.producer._workflow_waiting import workflow_ended

        return self._wait(lambda: workflow_ended(awaited, deadline), awaited, deadline)

    def _wait(self, waiting: Callable[[], Flow[R]], awaited: Awaited, deadline: Deadline) -> R:
        try:
            return self._wait_in_time(waiting, awaited, deadline)
        except BackendError as error:
            if self._closed:  # just before the wait asked for something
                raise closed_error() from error
            raise

    def _wait_in_time(self, waiting: Callable[[], Flow[R]], awaited: Awaited, deadline: Deadline) -> R:
        feed, left_ms = self.open_feed(), deadline.left_ms()
        if not left_ms:  # no deadline, or one look
            return self.drive(waiting(), feed)
        from taskora.producer._bounding import within

        seconds = left_ms / 1000 + LAST_LOOK_S
        try:
            return within(seconds, lambda left: self.drive(waiting(), feed, left))
        except JobTimeoutError:
            raise
        except TimeoutError as error:
            raise awaited.too_late(deadline) from error

    def open_feed(self) -> Feed:
        """A new reader of event streams, to be given back by `close_feed`."""
        self.check_open()
        return Feed(self.backend)

    def next_events(self, cursor: "EventCursor", feed: Feed) -> "list[AnyJobEvent[Any]]":
        """Some events, as soon as there are any; none once the producer is closed."""
        while not self._closed:
            try:
                events = self.drive(cursor.read(), feed)
            except UsageError:  # closed while it read
                return []
            if events:
                return events
        return []

    def close_feed(self, feed: Feed) -> None:
        """Takes a feed back."""

    def close(self) -> None:
        """Ends all waits at their next look, and closes the backend if it was opened here."""
        if self._closed:
            return
        self._closed = True
        if self._owns_backend:
            self.backend.close()
