"""Gives back the jobs of workers that are gone."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from taskora.contracts import Stall
from taskora.contracts.records import replace
from taskora.wire import Backend, RecoverStalled, drive_async, sweep_untold

logger = logging.getLogger("taskora.worker")


# A count of slots serves all workers for this part of an interval: a single one counts at each of its sweeps.
_STILL_GOOD: Final = 0.9


class StallRecoverer:
    """Sweeps one task. Any number of workers may do so at once."""

    def __init__(
        self, backend: Backend, task: str, stall: Stall, *, on_ended: Callable[[], None] | None = None
    ) -> None:
        self.name: Final = f"stall_recoverer:{task}"
        self.interval: Final = stall.interval_ms / 1000
        self._backend: Final = backend
        self._operation: Final = RecoverStalled(
            task=task, max_count=stall.max_count, count_every_ms=int(stall.interval_ms * _STILL_GOOD)
        )
        self._on_ended: Final = on_ended

    async def tick(self) -> None:
        """Recovers what stalled since the last sweep but one."""
        counts: Counter[str] = Counter(recovered=0, failed=0, cancelled=0)
        cursor: int | None = 0
        while cursor is not None:
            found = await self._backend.run(replace(self._operation, cursor=cursor))
            counts.update(recovered=len(found.recovered), failed=len(found.failed), cancelled=len(found.cancelled))
            cursor = found.cursor
        if counts.total():
            logger.warning("jobs_stalled", extra={"task": self._operation.task, **counts})
        if counts["failed"] or counts["cancelled"]:  # their workflows, if they have any, shall hear of it at once
            await self._tell()

    async def _tell(self) -> None:
        if self._on_ended is not None:
            self._on_ended()
        else:
            await drive_async(sweep_untold(self._operation.task, 0), self._backend.run)
