"""Work that all who want it at the same time share."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from taskora.wire.backends._requests import closed

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Shares one run of `work` among all who join while it lasts, and its error; who joins later begins another one."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work: Final = work
        self._task: asyncio.Task[T] | None = None

    async def join(self) -> T:
        """The result. A caller that is cancelled leaves the work to the others.

        Raises:
            BackendError: it was cancelled, since this backend is closed.
        """
        task = self._task
        if task is None:
            task = self._task = asyncio.create_task(self._work())
            task.add_done_callback(self._end)
        await asyncio.wait({task})
        if task.cancelled():
            raise closed()
        return task.result()

    def _end(self, task: asyncio.Task[T]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # nobody may be left to ask for it, and asyncio would complain

    async def cancel(self) -> None:
        """Ends it; who has joined is told that all is closed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
