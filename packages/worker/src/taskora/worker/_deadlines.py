"""Timeouts of many attempts with one timer of the event loop."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_FEW: Final = 1000


class Deadlines(Generic[T]):
    """Calls back for each item when its time has come.

    Nothing is taken out when an item ends. Those that are over, as `is_over` says, are thrown out together once there
    are many: a lane that is much faster than its timeout would hold on to every attempt for as long as that.
    """

    def __init__(self, expire: Callable[[T], None], is_over: Callable[[T], bool]) -> None:
        self._expire: Final = expire
        self._is_over: Final = is_over
        self._tidy_at = _FEW
        self._heap: list[tuple[float, int, T]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: T, delay_ms: int) -> None:
        """Watches an item from now on."""
        if len(self._heap) >= self._tidy_at:
            self._tidy()
        loop = asyncio.get_running_loop()
        when = loop.time() + delay_ms / 1000
        heapq.heappush(self._heap, (when, next(self._order), item))
        if self._timer is None or when < self._timer.when():
            self._schedule(loop)

    def _tidy(self) -> None:
        self._heap = [entry for entry in self._heap if not self._is_over(entry[2])]
        heapq.heapify(self._heap)
        self._tidy_at = max(_FEW, 2 * len(self._heap))

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._heap[0][0], self._fire, loop) if self._heap else None

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        # A timer may fire a hair early by the loop's clock resolution.
        while self._heap and self._heap[0][0] <= loop.time() + 0.001:
            _, _, item = heapq.heappop(self._heap)
            if not self._is_over(item):
                self._expire(item)
        self._schedule(loop)

    def close(self) -> None:
        """Forgets everything."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
