"""The wish that an attempt should stop, as its handler sees it."""

import asyncio
import contextlib
import threading
from collections.abc import Generator


class CancelSignal:
    """Set when the attempt should stop: cancelled, timed out, shut down, or its lease lost.

    `await signal` in a coroutine, `signal.wait()` in a thread, `signal.is_set()` anywhere.

    Attributes:
        reason: `"cancelled"`, `"timeout"`, `"lease lost"` or `"shutdown"`; None while it is not set.
    """

    __slots__ = ("_event", "_futures", "_lock", "_set", "reason")

    def __init__(self) -> None:
        self._set = False
        self.reason: str | None = None
        self._lock = threading.Lock()
        self._event: threading.Event | None = None
        self._futures: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        """Whether the attempt should stop."""
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks the thread until the signal is set, or for `timeout` seconds; returns whether it is set."""
        with self._lock:
            if self._set:
                return True
            if self._event is None:
                self._event = threading.Event()
        return self._event.wait(timeout)

    def __await__(self) -> Generator[object, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._set:
                return
            self._futures.append(future)
        try:
            await future
        finally:
            with self._lock:
                if future in self._futures:  # nobody waits any more: cancelled, or past a timeout
                    self._futures.remove(future)

    def set(self, reason: str) -> None:
        """Tells everybody who waits."""
        with self._lock:
            self.reason = reason  # first, so that whoever sees the signal set sees why
            self._set = True
            futures, self._futures = self._futures, []
        if self._event is not None:
            self._event.set()
        for future in futures:
            with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits there
                future.get_loop().call_soon_threadsafe(_finish, future)


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
