"""Which runs of schedules were dispatched, apart from their jobs."""

from collections import deque
from typing import Final

REMEMBERED: Final = 1000
REMEMBERED_MS: Final = 90 * 86_400_000


class RememberedRuns:
    """Ids of the newest runs of each schedule that were dispatched to a task."""

    def __init__(self) -> None:
        self._runs: dict[str, tuple[deque[str], int]] = {}

    def of(self, schedule: str, now_ms: int) -> deque[str]:
        """The ids, newest first; forgotten when there was no new one for 90 days."""
        runs, ends_at_ms = self._runs.get(schedule, (deque[str](maxlen=REMEMBERED), now_ms))
        return runs if now_ms < ends_at_ms else deque(maxlen=REMEMBERED)

    def keep(self, schedule: str, runs: deque[str], now_ms: int) -> None:
        """Remembers the ids from now on."""
        self._runs[schedule] = (runs, now_ms + REMEMBERED_MS)
