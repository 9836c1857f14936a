"""What a library must be able to do to be compared."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Sequence
from queue import SimpleQueue
from typing import Any, Final, Protocol

# What a worker that insists on the main thread wants to run there.
MAIN_THREAD: Final[SimpleQueue[Callable[[], object]]] = SimpleQueue()


class NotOfferedError(Exception):
    """The library has no such thing; the message says which."""


class Driver(Protocol):
    """One library in the fastest way to use it that its documentation describes, results stored.

    A driver's handler calls `ARRIVALS.arrive()` in its first line and does nothing else. A job's number is its data.
    """

    @property
    def distribution(self) -> str:
        """Whose version is reported."""
        ...

    @property
    def settings(self) -> str:
        """How it is used, where there is a choice, for the report."""
        ...

    @property
    def most_at_once(self) -> int:
        """The highest concurrency of one worker."""
        ...

    @property
    def worker_in_main_thread(self) -> bool:
        """Whether `start_worker` puts the worker into `MAIN_THREAD`; everything else then runs in another one."""
        ...

    async def connect(self, url: str) -> None:
        """Prepares for dispatching; called once, before anything else."""
        ...

    async def enqueue(self, number: int) -> None:
        """Dispatches one job and returns when the server has it."""
        ...

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        """Dispatches some jobs together and returns when the server has them.

        Raises:
            NotOfferedError: there is no way that saves round trips, or makes them at the same time.
        """
        ...

    async def start_worker(self, concurrency: int) -> None:
        """Starts to run jobs in the background, in this process."""
        ...


class AsyncioDriver:
    """What most drivers have in common: a worker beside everything else on one event loop."""

    most_at_once = 100
    worker_in_main_thread = False

    def __init__(self) -> None:
        self._background: list[asyncio.Future[object]] = []

    def keep_running(self, work: Awaitable[object]) -> None:
        """Runs a worker until the process ends."""
        self._background.append(asyncio.ensure_future(work))


def peer(module: str) -> Any:
    """A module of a library that is not installed where this code is checked, and so has no types there."""
    return importlib.import_module(module)


async def together(calls: Sequence[Awaitable[object]]) -> None:
    """Awaits calls at once: the bulk of asyncio libraries that have no other."""
    await asyncio.gather(*calls)
