"""Running until the process is told to end."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from taskora.contracts import Duration
from taskora.worker._roles import end

logger = logging.getLogger("taskora.worker")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LEFTOVER_SECONDS = 1.0


class Startable(Protocol):
    """What is started and closed."""

    async def start(self) -> None:
        """Starts to work."""
        ...

    async def close(self, timeout: Duration | None) -> None:  # noqa: ASYNC109 - the grace of jobs
        """Ends within the grace."""
        ...


def fast_event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes an event loop of uvloop where that is installed; None leaves it to asyncio."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop


async def run_until_signalled(
    worker: Startable,
    hurry: Callable[[], None],
    grace: Duration,
    *,
    broken: Callable[[], Coroutine[Any, Any, object]],
) -> bool:
    """Starts, waits for a signal or until the worker is broken, closes. Every further signal calls `hurry`.

    Returns whether everything in the event loop has ended. A loop in which something goes on must not be closed:
    closing waits for it, and the process would never end.
    """
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    starting = loop.create_task(worker.start(), name="worker-start")

    def hear(number: int) -> None:
        logger.info("signal_received", extra={"signal": signal.Signals(number).name})
        if told.is_set():
            hurry()
        told.set()
        starting.cancel()  # which does nothing once it has started

    for number in _SIGNALS:
        loop.add_signal_handler(number, hear, number)
    try:
        await asyncio.wait((starting,))
        if not (told.is_set() and starting.cancelled()):
            starting.result()
        await _first_of(told.wait(), broken())
        await worker.close(grace)
    finally:
        starting.cancel()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
    return await _all_ended()


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks)


async def _all_ended() -> bool:
    leftovers = asyncio.all_tasks() - {asyncio.current_task()}
    for task in leftovers:
        task.cancel()
    if not leftovers:
        return True
    _, stubborn = await asyncio.wait(leftovers, timeout=_LEFTOVER_SECONDS)
    if stubborn:
        logger.error("tasks_left_behind", extra={"tasks": sorted(task.get_name() for task in stubborn)})
    return not stubborn
