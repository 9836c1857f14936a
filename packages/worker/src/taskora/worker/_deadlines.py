"""Timeouts of many attempts with one timer of the event loop."""

import asyncio
import heapq
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_FEW: Final = 1000


class Deadline(Generic[T]):
    """An item that is watched; None once nobody watches it any more."""

    __slots__ = ("item", "when")

    def __init__(self, when: float, item: T) -> None:
        self.when = when
        self.item: T | None = item

    def __lt__(self, other: "Deadline[T]") -> bool:
        return self.when < other.when


class Deadlines(Generic[T]):
    """Calls back for each item when its time has come.

    Deadlines that were dropped stay where they are, without their items, until there are many of them: a lane ends
    most of its attempts long before their time.
    """

    def __init__(self, expire: Callable[[T], None]) -> None:
        self._expire: Final = expire
        self._heap: list[Deadline[T]] = []
        self._tidy_at = _FEW
        self._timer: asyncio.Handle | None = None  # not a TimerHandle: uvloop has none for what is due at once
        self._timer_at = 0.0

    def add(self, item: T, delay_ms: int) -> Deadline[T]:
        """Watches an item from now on."""
        if len(self._heap) >= self._tidy_at:
            self._tidy()
        loop = asyncio.get_running_loop()
        deadline = Deadline(loop.time() + delay_ms / 1000, item)
        heapq.heappush(self._heap, deadline)
        if self._timer is None or deadline.when < self._timer_at:
            self._schedule(loop)
        return deadline

    def drop(self, deadline: Deadline[T]) -> None:
        """Watches an item no more."""
        deadline.item = None

    def _tidy(self) -> None:
        self._heap = [deadline for deadline in self._heap if deadline.item is not None]
        heapq.heapify(self._heap)
        self._tidy_at = max(_FEW, 2 * len(self._heap))

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._heap:
            self._timer_at = self._heap[0].when
            self._timer = loop.call_at(self._timer_at, self._fire, loop)

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        # A timer may fire a hair early by the loop's clock resolution.
        while self._heap and self._heap[0].when <= loop.time() + 0.001:
            item = heapq.heappop(self._heap).item
            if item is not None:
                self._expire(item)
        self._schedule(loop)

    def close(self) -> None:
        """Forgets everything."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
