"""Timeouts of many attempts with one timer of the event loop."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Calls back for each item when its time has come. Items that ended meanwhile are for the callback to skip."""

    def __init__(self, expire: Callable[[T], None]) -> None:
        self._expire: Final = expire
        self._heap: list[tuple[float, int, T]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: T, delay_ms: int) -> None:
        """Watches an item from now on."""
        loop = asyncio.get_running_loop()
        when = loop.time() + delay_ms / 1000
        heapq.heappush(self._heap, (when, next(self._order), item))
        if self._timer is None or when < self._timer.when():
            self._schedule(loop)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._heap[0][0], self._fire, loop) if self._heap else None

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        # A timer may fire a hair early by the loop's clock resolution.
        while self._heap and self._heap[0][0] <= loop.time() + 0.001:
            _, _, item = heapq.heappop(self._heap)
            self._expire(item)
        self._schedule(loop)

    def close(self) -> None:
        """Forgets everything."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
