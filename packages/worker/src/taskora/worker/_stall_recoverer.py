"""Gives back the jobs of workers that are gone."""

import logging
from typing import Final

from taskora.contracts import Stall
from taskora.wire import Backend, RecoverStalled

logger = logging.getLogger("taskora.worker")


class StallRecoverer:
    """Sweeps one task. Any number of workers may do so at once."""

    def __init__(self, backend: Backend, task: str, stall: Stall) -> None:
        self.name: Final = f"stall_recoverer:{task}"
        self.interval: Final = stall.interval_ms / 1000
        self._backend: Final = backend
        self._operation: Final = RecoverStalled(task=task, max_count=stall.max_count)

    async def tick(self) -> None:
        """Recovers what stalled since the last sweep but one."""
        found = await self._backend.run(self._operation)
        if found.recovered or found.failed or found.cancelled:
            counts = {"recovered": len(found.recovered), "failed": len(found.failed), "cancelled": len(found.cancelled)}
            logger.warning("jobs_stalled", extra={"task": self._operation.task, **counts})
