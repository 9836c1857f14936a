"""Backends that can be sent elsewhere for a while: for tests of programs that open their own.

A backend made from a URL or a client asks, with every operation, whether it is redirected. So it does not matter when
it was made, by which module, or whether it has connected yet.
"""

import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final, TypeAlias, TypeVar

from taskora.contracts import UsageError
from taskora.wire._abilities import run_together, waiting_for
from taskora.wire._backend import Backend, Cancellation, EventFeed, SyncBackend
from taskora.wire._events import StreamEvent
from taskora.wire._operations import Operation
from taskora.wire.backends._requests import closed

R = TypeVar("R")

Elsewhere: TypeAlias = Callable[[str | None], Backend]


class _Redirection:
    """One backend per prefix, and its view for threads."""

    def __init__(self, elsewhere: Elsewhere) -> None:
        self._elsewhere: Final = elsewhere
        self._backends: Final[dict[str | None, tuple[Backend, SyncBackend]]] = {}
        self._asking: Final = threading.Lock()

    def find(self, prefix: str | None) -> tuple[Backend, SyncBackend]:
        found = self._backends.get(prefix)
        return found or self._ask(prefix)

    def _ask(self, prefix: str | None) -> tuple[Backend, SyncBackend]:
        with self._asking:  # threads that come at the same time must meet in one place
            found = self._backends.get(prefix)
            if found is None:
                backend = self._elsewhere(prefix)
                found = self._backends[prefix] = (backend, backend.blocking())
            return found

    def close(self) -> None:
        for _, sync in self._backends.values():
            sync.close()


class _Switch:
    """Whether backends are redirected now, in this process."""

    __slots__ = ("redirection",)

    def __init__(self) -> None:
        self.redirection: _Redirection | None = None


_switch: Final = _Switch()


def is_redirected() -> bool:
    """Whether a redirection is in force."""
    return _switch.redirection is not None


@contextmanager
def redirected(elsewhere: Elsewhere) -> Generator[None]:
    """Sends every operation of this process that is meant for a URL or a client elsewhere, in this context.

    Meant for tests. It concerns all threads, and backends made before, also those that have connected; what already
    waits for a server goes on waiting there. Backend objects that a program made itself are used as they are.
    Afterwards all is as before.

    Args:
        elsewhere: Gives the backend to use instead, for a prefix (None for none); asked once per prefix.

    Raises:
        UsageError: a redirection is in force already.
    """
    if is_redirected():
        raise UsageError("backends are redirected already: end that redirection before you begin another one")
    redirection = _switch.redirection = _Redirection(elsewhere)
    try:
        yield
    finally:
        _switch.redirection = None
        redirection.close()


class RedirectableBackend:
    """A `Backend` that a redirection applies to. The real one is made at once, or when it is first needed."""

    def __init__(self, make: Callable[[], Backend], prefix: str | None, *, lazily: bool) -> None:
        self._make: Final = make
        self._prefix: Final = prefix
        self._real = None if lazily else make()
        self._is_closed = False

    @property
    def target(self) -> Backend:
        """Where operations go now. A closed backend answers for itself."""
        redirection = _switch.redirection
        if redirection is not None and not self._is_closed:
            return redirection.find(self._prefix)[0]
        if self._real is None:
            if self._is_closed:
                raise closed()
            self._real = self._make()
        return self._real

    def waiting_for(self, task: str, job_id: str) -> AbstractAsyncContextManager[None]:
        """Tells the target of a wait; see `WaitObserver`."""
        return waiting_for(self.target, task, job_id)

    def run(self, operation: Operation[R]) -> Coroutine[Any, Any, R]:
        """Carries out one operation; see `Backend.run`."""
        real = self._real
        if _switch.redirection is None and real is not None:  # as nearly always
            return real.run(operation)
        return self.target.run(operation)

    def wait_for_work(self, task: str, *, timeout_ms: int, now_ms: int) -> Coroutine[Any, Any, None]:
        """Waits until jobs of a task may be ready; see `Backend.wait_for_work`."""
        return self.target.wait_for_work(task, timeout_ms=timeout_ms, now_ms=now_ms)

    def cancellations(self, tasks: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Cancellation]]:
        """Requests to cancel active jobs; see `Backend.cancellations`."""
        return self.target.cancellations(tasks)

    def open_feed(self) -> EventFeed:
        """A new reader of event streams; see `EventFeed`."""
        return _RedirectableFeed(self)

    def blocking(self) -> SyncBackend:
        """The same storage for threads."""

        def make() -> SyncBackend:
            if self._real is None:
                self._real = self._make()
            return self._real.blocking()

        return RedirectableSyncBackend(make, self._prefix, lazily=self._real is None)

    async def close(self) -> None:
        """Closes the real backend."""
        self._is_closed = True
        if self._real is not None:
            await self._real.close()


class RedirectableSyncBackend:
    """A `SyncBackend` that a redirection applies to."""

    def __init__(self, make: Callable[[], SyncBackend], prefix: str | None, *, lazily: bool) -> None:
        self._make: Final = make
        self._prefix: Final = prefix
        self._real = None if lazily else make()
        self._making: Final = threading.Lock()
        self._is_closed = False

    @property
    def target(self) -> SyncBackend:
        """Where operations go now."""
        redirection = _switch.redirection
        if redirection is not None and not self._is_closed:
            return redirection.find(self._prefix)[1]
        if self._real is None:
            if self._is_closed:
                raise closed()
            return self._first()
        return self._real

    def _first(self) -> SyncBackend:
        with self._making:
            if self._real is None:
                self._real = self._make()
            return self._real

    def run(self, operation: Operation[R]) -> R:
        """Carries out one operation; see `SyncBackend.run`."""
        return self.target.run(operation)

    def run_together(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Carries out several operations; see `PipelinedBackend.run_together`."""
        return run_together(self.target, operations)

    def read_events(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Reads events; see `SyncBackend.read_events`."""
        return self.target.read_events(positions, block_ms=block_ms, limit=limit)

    def close(self) -> None:
        """Closes the real backend."""
        self._is_closed = True
        if self._real is not None:
            self._real.close()


class _RedirectableFeed:
    """A feed of whatever its backend stands for when it is read."""

    def __init__(self, backend: RedirectableBackend) -> None:
        self._backend: Final = backend
        self._target = backend.target
        self._feed = self._target.open_feed()

    async def read(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Reads events; see `EventFeed.read`."""
        target = self._backend.target
        if target is not self._target:
            await self._feed.close()
            self._target, self._feed = target, target.open_feed()
        return await self._feed.read(positions, block_ms=block_ms, limit=limit)

    async def interrupt(self) -> None:
        """Frees a waiting read; see `EventFeed.interrupt`."""
        await self._feed.interrupt()

    async def close(self) -> None:
        """Gives the connection back."""
        await self._feed.close()
