"""What a storage must be able to do.

Two protocols: `Backend` for asyncio, `SyncBackend` for plain threads. Everything that changes data is an `Operation`
given to `run`; the rest is waiting. Whatever meets these protocols, and passes the conformance tests, can carry jobs.
"""

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from taskora.contracts.records import record
from taskora.wire._events import StreamEvent
from taskora.wire._operations import Operation

R = TypeVar("R")


class Clock(Protocol):
    """Tells the time to a storage. Production leaves it to the server; tests move it by hand."""

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        ...


@record
class Cancellation:
    """Somebody wants an active job to stop."""

    task: str
    job_id: str


class EventFeed(Protocol):
    """A reader of event streams with a connection of its own."""

    async def read(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Events after the given positions, by task; waits up to `block_ms` for the first one.

        Returns an empty list when the time is over, and when `interrupt` was called.
        """
        ...

    async def interrupt(self) -> None:
        """Makes a `read` that is waiting, if there is one, return at once."""
        ...

    async def close(self) -> None:
        """Gives the connection back."""
        ...


class SyncBackend(Protocol):
    """A storage for threads. Safe to use from several threads at once, and after a fork."""

    def run(self, operation: Operation[R]) -> R:
        """Carries out one operation.

        Raises:
            BackendError: the storage cannot be reached, refuses us, or is out of memory. The operation may have been
                carried out; `operation.again()` is safe to send.
        """
        ...

    def read_events(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Events after the given positions, by task; waits up to `block_ms` for the first one."""
        ...

    def close(self) -> None:
        """Closes what this object opened; a borrowed client stays open."""
        ...


class Backend(Protocol):
    """A storage for asyncio. Belongs to the event loop that first uses it.

    Methods that return a coroutine are `async def`, or hand on the coroutine of another object.
    """

    def run(self, operation: Operation[R]) -> Coroutine[Any, Any, R]:
        """Carries out one operation.

        Raises:
            BackendError: the storage cannot be reached, refuses us, or is out of memory. The operation may have been
                carried out; `operation.again()` is safe to send.
        """
        ...

    def wait_for_work(self, task: str, *, timeout_ms: int, now_ms: int) -> Coroutine[Any, Any, None]:
        """Waits until jobs of a task may be ready, or `timeout_ms` have passed.

        Consumes the wake-up token, so every return must be followed by an `Exchange`, which puts it back if work
        remains. `now_ms` is the caller's estimate of the storage's clock, for tokens that name a later instant.
        """
        ...

    def cancellations(self, tasks: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Cancellation]]:
        """Requests to cancel active jobs, as they are made. Some may be missed; renewing a lease tells them again.

        The iterator raises `BackendError` when the connection is lost; subscribe again.
        """
        ...

    def open_feed(self) -> EventFeed:
        """A new reader of event streams."""
        ...

    def blocking(self) -> SyncBackend:
        """The same storage for threads, with connections of its own."""
        ...

    async def close(self) -> None:
        """Closes what this object opened; a borrowed client stays open."""
        ...
