"""Attempts of one lane whose outcomes are on their way to the storage."""

from typing import Final, TypeAlias

from taskora.wire import Outcome
from taskora.worker._attempt import Attempt

# What one round trip carries at most: a script that takes longer would hold up the server, or not be taken at all.
MOST_OUTCOMES: Final = 1000
MOST_BYTES: Final = 4 * 1_048_576
# So often an outcome is refused, alone, before it is given up.
_MOST_REFUSALS: Final = 5

Ended: TypeAlias = tuple[Attempt, Outcome]


class EndedAttempts:
    """Those whose outcomes are not stored yet, oldest first.

    One that the storage will never take, since it is too large or a key is damaged, must not hold up all others for
    ever. So what is refused for good goes again in halves, until the one at fault stands alone.
    """

    def __init__(self) -> None:
        self._ended: list[Ended] = []
        self._bytes = 0
        self._most = MOST_OUTCOMES
        self._refusals: dict[Attempt, int] = {}

    def __len__(self) -> int:
        return len(self._ended)

    @property
    def is_careful(self) -> bool:
        """Whether something was refused a moment ago: outcomes leave in small numbers then, marked, and alone."""
        return self._most < MOST_OUTCOMES

    def add(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt ended."""
        self._ended.append((attempt, outcome))
        self._bytes += len(outcome.payload)

    def take(self, most: int) -> list[Ended]:
        """Takes out what fits into one round trip, so many at most."""
        most = min(most, self._most)
        if len(self._ended) <= most and self._bytes <= MOST_BYTES:
            batch, self._ended, self._bytes = self._ended, [], 0
            return batch
        batch = self._ended[: self._fitting(most)]
        self._ended = self._ended[len(batch) :]
        self._bytes -= _size(batch)
        return batch

    def _fitting(self, most: int) -> int:
        """How many leave together; one at least, whatever its size."""
        size = 0
        for number, (_, outcome) in enumerate(self._ended[:most]):
            size += len(outcome.payload)
            if size > MOST_BYTES:
                return max(1, number)
        return min(len(self._ended), most)

    def put_back(self, batch: list[Ended]) -> None:
        """Takes a batch back that was not stored."""
        self._ended = batch + self._ended
        self._bytes += _size(batch)

    def stored(self, batch: list[Ended], *, is_careful: bool) -> None:
        """A batch was answered. If it left before something was refused, that says nothing about what was."""
        if is_careful:
            self._most = min(MOST_OUTCOMES, self._most * 2)
        if self._refusals:
            for attempt, _ in batch:
                self._refusals.pop(attempt, None)

    def refused(self, batch: list[Ended]) -> Ended | None:
        """Takes a batch back that will be refused again as it is; returns the outcome to give up, if there is one."""
        self._most = max(1, min(self._most, len(batch) or self._most) // 2)
        if len(batch) == 1:
            attempt, _ = batch[0]
            refusals = self._refusals.pop(attempt, 0) + 1
            if refusals >= _MOST_REFUSALS:
                return batch[0]
            self._refusals[attempt] = refusals
        self.put_back(batch)
        return None


def _size(batch: list[Ended]) -> int:
    return sum(len(outcome.payload) for _, outcome in batch)
