"""Background roles of a worker: each does one thing, again and again, and survives what goes wrong."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from taskora.contracts import BackendError
from taskora.wire import pause_after

logger = logging.getLogger("taskora.worker")

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 5.0


class Role(Protocol):
    """What is done in the background; `interval` is in seconds."""

    @property
    def name(self) -> str:
        """Stable name, for logs."""
        ...

    @property
    def interval(self) -> float:
        """Seconds between two ticks; 0 to go on at once."""
        ...

    async def tick(self) -> None:
        """Does it once."""
        ...


async def perform(role: Role, on_trouble: Callable[[BaseException], None]) -> None:
    """Ticks for ever. A tick that fails is logged and reported, and the next one comes all the same.

    The first tick comes after a random part of the interval, so that workers started together do not sweep together.
    """
    await asyncio.sleep(role.interval * random.uniform(0.5, 1.0))
    failures = 0
    while True:
        try:
            await role.tick()
        except Exception as error:  # noqa: BLE001 - it is logged and reported
            failures += 1
            _log(role, error)
            on_trouble(error)
            await asyncio.sleep(pause_after(failures, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE))
        else:
            failures = 0
            await asyncio.sleep(role.interval)


def _log(role: Role, error: Exception) -> None:
    about = {"role": role.name, "error": str(error)}
    if isinstance(error, BackendError):
        logger.warning("role_failed", extra=about)
    else:
        logger.error("role_failed", exc_info=error, extra=about)


async def end(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    """Cancels tasks and waits until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
