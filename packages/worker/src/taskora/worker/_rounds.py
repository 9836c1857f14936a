"""What is done for every task of a worker: one timer for all, and requests that travel together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Final, TypeVar

from taskora.contracts import BackendError
from taskora.worker._roles import Role

logger = logging.getLogger("taskora.worker")

T = TypeVar("T")

# So many share a packet. More would keep a server from others for longer than they notice.
AT_ONCE: Final = 16
_NAMED_IN_LOGS: Final = 10


async def for_each(items: Collection[T], do: Callable[[T], Awaitable[object]]) -> list[tuple[T, Exception]]:
    """Does something with each item, with some of them at once; returns those for which it failed."""
    left = iter(items)
    failed: list[tuple[T, Exception]] = []

    async def go_on() -> None:
        for item in left:
            try:
                await do(item)
            except Exception as error:  # noqa: BLE001 - whatever it was, it concerns this item alone
                failed.append((item, error))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(AT_ONCE, len(items))):
            group.create_task(go_on())
    return failed


def worst(failed: Sequence[tuple[object, Exception]]) -> Exception:
    """The error to raise for all: rather a surprise than a server that is away."""
    errors = [error for _, error in failed]
    return next((error for error in errors if not isinstance(error, BackendError)), errors[0])


class Round:
    """Ticks for many tasks, as one role. Only what failed is tried again."""

    def __init__(self, name: str, stops: Sequence[Role]) -> None:
        self.name: Final = name
        self.interval: Final = stops[0].interval
        self._stops: Final = stops
        self._again: list[Role] = []

    async def tick(self) -> None:
        """Goes round; after a failure, only to those that have failed.

        Raises:
            Exception: what one of them raised; all were tried.
        """
        failed = await for_each(self._again or self._stops, lambda stop: stop.tick())
        self._again = [stop for stop, _ in failed]
        if failed:
            names = [stop.name for stop in self._again[:_NAMED_IN_LOGS]]
            logger.warning("round_incomplete", extra={"role": self.name, "failed": len(failed), "among": names})
            raise worst(failed)


def rounds(name: str, stops: Iterable[Role]) -> list[Role]:
    """One role for all that share an interval."""
    by_interval: dict[float, list[Role]] = {}
    for stop in stops:
        by_interval.setdefault(stop.interval, []).append(stop)
    return [Round(name, group) for group in by_interval.values()]
