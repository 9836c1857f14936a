"""Finishes what others began for workflows, and ends those whose time is over."""

from collections.abc import Iterable
from typing import Final

from taskora.wire import Backend, drive_async, sweep_untold, sweep_workflows

_INTERVAL_SECONDS: Final = 1.0
# Jobs that expired or were cancelled without a worker, and those whose worker died before it told their workflow.
_TICKS_BETWEEN_TASKS: Final = 2
_BATCHES: Final = 5


class WorkflowSweeper:
    """Looks at workflows when their look is due, and for the jobs of this worker's tasks that nobody told of.

    Any number of workers may do so at once.
    """

    name = "workflow_sweeper"
    interval = _INTERVAL_SECONDS

    def __init__(self, backend: Backend, tasks: Iterable[str]) -> None:
        self._backend: Final = backend
        self._tasks: Final = tuple(tasks)
        self._ticks = 0

    async def tick(self) -> None:
        """Sweeps once."""
        self._ticks += 1
        if self._ticks % _TICKS_BETWEEN_TASKS == 0:
            for task in self._tasks:
                await drive_async(sweep_untold(task), self._backend.run)
        for _ in range(_BATCHES):
            if not await drive_async(sweep_workflows(), self._backend.run):
                return
