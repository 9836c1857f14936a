"""Deadlines of many items with one timer of the event loop."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")

# A timer may fire a hair early by the loop's clock resolution.
_EARLY_SECONDS: Final = 0.001


class Deadlines(Generic[T]):
    """Calls back for each item that was watched for `delay_ms`; for none if that is None.

    All of them wait for the same time, so they become due in the order in which they came, and that is the order of a
    dictionary: nothing is sorted. The timer does not move when an item goes; it looks for the next one when it fires.
    """

    def __init__(self, delay_ms: int | None, expire: Callable[[T], None]) -> None:
        self._delay: Final = None if delay_ms is None else delay_ms / 1000
        self._expire: Final = expire
        self._due: Final[dict[T, float]] = {}
        self._timer: asyncio.Handle | None = None  # not a TimerHandle: uvloop has none for what is due at once

    def watch(self, items: Sequence[T]) -> None:
        """Watches items from now on. An item is watched once."""
        if self._delay is None:
            return
        loop = asyncio.get_running_loop()
        self._due.update(dict.fromkeys(items, loop.time() + self._delay))
        if self._timer is None:
            self._schedule(loop)

    def left_seconds(self, item: T) -> float:
        """How long it is until an item is due; 0 if it is not watched."""
        due = self._due.get(item)
        return 0 if due is None else due - asyncio.get_running_loop().time()

    def drop(self, item: T) -> None:
        """Watches an item no more."""
        self._due.pop(item, None)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sets the timer to the first item that is due."""
        if self._timer is not None:
            self._timer.cancel()
        first = next(iter(self._due.values()), None)
        self._timer = None if first is None else loop.call_at(first, self._fire, loop)

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time() + _EARLY_SECONDS
        for item in [item for item, _ in itertools.takewhile(lambda entry: entry[1] <= now, self._due.items())]:
            if self._due.pop(item, None) is not None:  # another's end may have been the end of this one
                self._expire(item)
        self._schedule(loop)

    def close(self) -> None:
        """Forgets everything."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
