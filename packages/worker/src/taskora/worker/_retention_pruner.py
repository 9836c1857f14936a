"""Deletes ended jobs that are too old or too many."""

import time
from typing import Final

from taskora.contracts import JobState
from taskora.contracts.records import replace
from taskora.wire import Backend, FinalState, Prune
from taskora.worker._config import Keep, Retention

_INTERVAL_SECONDS: Final = 30.0
_BATCH: Final = 1000
_BUDGET_SECONDS: Final = 5.0
# A dispatch whose reply was lost is sent again within this time; a job that is gone by then would run twice.
SPARED_MS: Final = 60_000


class RetentionPruner:
    """Prunes one task: batch after batch until nothing is left to delete, or its time for this tick is over."""

    interval = _INTERVAL_SECONDS

    def __init__(self, backend: Backend, task: str, retention: Retention) -> None:
        self.name: Final = f"retention_pruner:{task}"
        self._backend: Final = backend
        self._task: Final = task
        self._rules: Final[tuple[tuple[FinalState, Keep], ...]] = (
            (JobState.COMPLETED, retention.completed),
            (JobState.FAILED, retention.failed),
            (JobState.CANCELLED, retention.cancelled),
            (JobState.EXPIRED, retention.expired),
        )

    async def tick(self) -> None:
        """Deletes what is due."""
        end = time.monotonic() + _BUDGET_SECONDS
        for state, keep in self._rules:
            operation = Prune(
                task=self._task,
                state=state,
                max_age_ms=keep.max_age_ms,
                max_items=keep.max_items,
                spared_ms=0 if keep.nothing else SPARED_MS,
                limit=_BATCH,
            )
            cursor: int | None = 0
            while cursor is not None:
                pruned = await self._backend.run(replace(operation, cursor=cursor))
                cursor = pruned.cursor if time.monotonic() < end else None
