"""Streams of dispatches in an event loop: several batches are under way while the next one gathers."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine
from typing import Any, Final, Generic, TypeAlias, TypeVar

from taskora.producer._dispatching import DispatchItem
from taskora.producer._streaming import Gathering, Items, StreamBatch

I = TypeVar("I")  # noqa: E741 - input
R = TypeVar("R")
T = TypeVar("T")
AsyncItems: TypeAlias = Items[I] | AsyncIterable[I | DispatchItem[I]]

BATCHES_UNDER_WAY: Final = 4
"""How many batches are sent, or wait to be taken by whoever iterates, before no further item is asked for."""


class _Stream(Generic[I, R]):
    """One stream: a task that fills the next batch, tasks that send, and whoever takes the replies."""

    def __init__(
        self,
        items: AsyncItems[I],
        gathering: Gathering[I],
        send: Callable[[StreamBatch[I]], Coroutine[Any, Any, R]],
    ) -> None:
        self._items: Final = items
        self._gathering: Final = gathering
        self._send: Final = send
        self._under_way: Final[deque[asyncio.Task[R]]] = deque()
        self._changed: Final = asyncio.Event()
        self._room: Final = asyncio.Event()

    async def run(self) -> AsyncGenerator[R]:
        """The replies, in order.

        A batch leaves when it is full, when nothing else is under way, or when there are no more items.
        """
        filling = self._start(self._fill())
        try:
            while self._gathering or self._under_way or not filling.done():
                if self._may_send(filling):
                    self._under_way.append(self._start(self._send(self._gathering.take())))
                    self._room.set()
                elif self._under_way and self._under_way[0].done():
                    yield self._under_way.popleft().result()
                else:
                    self._changed.clear()
                    await self._changed.wait()
            filling.result()  # raises what was wrong with an item, or with where they come from
        except asyncio.CancelledError:
            for sending in self._under_way:
                sending.cancel()
            raise
        finally:
            filling.cancel()
            await asyncio.gather(filling, *self._under_way, return_exceptions=True)

    def _may_send(self, filling: "asyncio.Task[None]") -> bool:
        if not self._gathering or len(self._under_way) == BATCHES_UNDER_WAY:
            return False
        return self._gathering.is_full or not self._under_way or filling.done()

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda _: self._changed.set())
        return task

    async def _fill(self) -> None:
        try:
            if isinstance(self._items, AsyncIterable):
                async for item in self._items:
                    await self._take(item)
            else:
                for item in self._items:
                    await self._take(item)
        except Exception as error:
            error.add_note(self._gathering.place)
            raise

    async def _take(self, item: I | DispatchItem[I]) -> None:
        self._gathering.add(item)
        if len(self._gathering) == 1 or self._gathering.is_full:
            self._changed.set()
        while self._gathering.is_full:
            self._room.clear()
            await self._room.wait()


def stream(
    items: AsyncItems[I],
    gathering: Gathering[I],
    send: Callable[[StreamBatch[I]], Coroutine[Any, Any, R]],
) -> AsyncGenerator[R]:
    """Sends items in batches, some at a time; further items are asked for when replies were taken.

    What cannot be had, or is refused, is raised when everything before it has been sent. Whoever stops early waits for
    what is under way.
    """
    return _Stream(items, gathering, send).run()
