"""Which runs of schedules were dispatched, apart from their jobs, and which claims of schedules do not count."""

from collections import deque
from typing import Final

REMEMBERED: Final = 1000
REMEMBERED_MS: Final = 90 * 86_400_000


class RememberedRuns:
    """Ids of the newest runs of each schedule that were dispatched to a task."""

    def __init__(self) -> None:
        self._runs: dict[str, tuple[deque[str], int]] = {}
        self._withdrawn: set[tuple[str, int]] = set()

    def of(self, schedule: str, now_ms: int) -> deque[str]:
        """The ids, newest first; forgotten when there was no new one for 90 days."""
        runs, ends_at_ms = self._runs.get(schedule, (deque[str](maxlen=REMEMBERED), now_ms))
        return runs if now_ms < ends_at_ms else deque(maxlen=REMEMBERED)

    def keep(self, schedule: str, runs: deque[str], now_ms: int) -> None:
        """Remembers the ids from now on."""
        self._runs[schedule] = (runs, now_ms + REMEMBERED_MS)

    def withdraw(self, schedule: str, claimed_until_ms: int, now_ms: int) -> None:
        """From now on a claim does not count; those that are over do not anyway."""
        self._withdrawn = {claim for claim in self._withdrawn if now_ms <= claim[1]} | {(schedule, claimed_until_ms)}

    def is_withdrawn(self, schedule: str, claimed_until_ms: int) -> bool:
        """Whether a claim does not count although its time is not over."""
        return (schedule, claimed_until_ms) in self._withdrawn
