"""Several worker processes, kept running until the parent is told to end."""

import asyncio
import logging
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from taskora.cli._children import OWN_SIGNALS, Lifeline, describe_end, start_worker
from taskora.cli._exit_codes import ExitCode

logger = logging.getLogger("taskora.cli")

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
# A process that ran for longer than this did not fail because of how it was started.
_SOUND_SECONDS: Final = 60.0


class Supervisor:
    """Starts processes, starts those again that end unasked, passes signals on.

    Args:
        target: The worker, as `module:attribute`.
        count: How many processes.
        options: Further options of `taskora worker` for each of them.
    """

    def __init__(self, target: str, *, count: int, options: Sequence[str] = ()) -> None:
        self._target: Final = target
        self._count: Final = count
        self._options: Final = tuple(options)
        self._lifeline: Final = Lifeline()
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._codes: dict[int, int] = {}
        self._told: Final = asyncio.Event()

    async def run(self) -> int:
        """Works until SIGTERM or SIGINT; returns the exit code.

        It is 0 if all processes ended well; otherwise that of a process that did not.
        """
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._pass_on, number)
        try:
            with self._lifeline:
                await asyncio.gather(*(self._keep(index) for index in range(1, self._count + 1)))
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
        return max(self._codes.values(), default=ExitCode.OK)

    def _pass_on(self, number: int) -> None:
        logger.info("signal_received", extra={"signal": signal.Signals(number).name})
        self._end(number)

    def _end(self, number: int) -> None:
        self._told.set()
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(number)

    async def _keep(self, index: int) -> None:
        """Keeps one process running."""
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while not self._told.is_set():
            started_at = loop.time()
            code = await self._run_once(index)
            if self._told.is_set() and code in {0, *OWN_SIGNALS}:
                self._codes[index] = ExitCode.OK
                return
            self._codes[index] = code if code > 0 else ExitCode.FAILED
            if self._told.is_set() or code == ExitCode.USAGE:
                logger.error("worker process %d %s", index, describe_end(code))
                self._end(signal.SIGTERM)  # what cannot be started in one process cannot be started in another
                return
            if loop.time() - started_at > _SOUND_SECONDS:
                pause = _FIRST_PAUSE
            logger.error("worker process %d %s; starting it again in %g s", index, describe_end(code), pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _run_once(self, index: int) -> int:
        process = await start_worker(self._target, self._lifeline, options=self._options)
        self._processes[index] = process
        logger.info("worker process %d started", index, extra={"pid": process.pid})
        if self._told.is_set():  # told while it started
            with suppress(ProcessLookupError):
                process.terminate()
        try:
            return await process.wait()
        finally:
            del self._processes[index]
