"""Callers that sleep until something happens, in event loops and in threads."""

import asyncio
import contextlib
import threading
from typing import Protocol


class Sleeper(Protocol):
    """Somebody who can be woken from any thread."""

    def wake(self) -> bool:
        """Wakes the sleeper, or makes its next sleep end at once; false when it is gone for good."""
        ...


class AsyncSleeper:
    """A sleeping coroutine of the running event loop."""

    __slots__ = ("_event", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> bool:
        """Wakes the coroutine; see `Sleeper.wake`."""
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the loop is closed
            return False
        return True

    async def sleep(self, seconds: float | None = None) -> bool:
        """True when somebody woke this sleeper, false when the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        woken = self._event.is_set()
        self._event.clear()
        return woken


class ThreadSleeper:
    """A sleeping thread."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def wake(self) -> bool:
        """Wakes the thread; see `Sleeper.wake`."""
        self._event.set()
        return True

    def sleep(self, seconds: float) -> None:
        """Returns when somebody woke this sleeper, or the time is over."""
        self._event.wait(seconds)
        self._event.clear()
