"""Background roles of a worker: each does one thing, again and again, and survives what goes wrong."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from taskora.contracts import BackendError

logger = logging.getLogger("taskora.worker")

_RETRY_SECONDS = 1.0


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
    while True:
        try:
            await role.tick()
        except BackendError as error:
            logger.warning("role_failed", extra={"role": role.name, "error": str(error)})
            on_trouble(error)
            await asyncio.sleep(_RETRY_SECONDS * random.uniform(0.5, 1.0))
        except Exception as error:
            logger.exception("role_failed", extra={"role": role.name})
            on_trouble(error)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            await asyncio.sleep(role.interval)


async def end(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    """Cancels tasks and waits until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
