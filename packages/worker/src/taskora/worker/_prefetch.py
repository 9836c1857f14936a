"""How many jobs a lane may hold whose turn has not come."""

from typing import Final

# How long a job waits at most in a worker for its turn, before it goes back to the others.
LONGEST_WAIT_MS: Final = 10
# So many jobs share a round trip if a lane may choose: more would gain little, and be more to recover after a crash.
_ENOUGH_FOR_A_TRIP: Final = 4
# An unknown handler is taken for a slow one. It takes about seventy quick runs to find out that it is none.
_UNKNOWN_SECONDS: Final = 1.0
_LEARNING: Final = 1 / 8
# Of the longest wait: how long jobs may be expected to wait.
_PRUDENCE: Final = 1 / 4


def prefetch_for(concurrency: int) -> int:
    """How many jobs lanes hold beside those that run, where nobody has said."""
    return max(0, _ENOUGH_FOR_A_TRIP - concurrency)


class Prefetch:
    """As many jobs as begin within the time of a round trip: they bridge it.

    Where a handler takes longer than a round trip, that is none: little would be gained, and whoever waits here could
    have been run by another worker.

    Attributes:
        most: How many jobs may wait at all.
        jobs: How many jobs may wait now.
    """

    def __init__(self, most: int, *, slots: int) -> None:
        self.most: Final = most
        self.jobs = 0
        self._slots: Final = slots
        self._bridged_seconds = 0.0
        self._run_seconds = _UNKNOWN_SECONDS

    def ran(self, seconds: float) -> None:
        """A handler took so long."""
        self._run_seconds += (seconds - self._run_seconds) * _LEARNING
        if self._run_seconds > self._bridged_seconds:
            self.jobs = 0  # known before the next round trip leaves

    def answered(self, seconds: float) -> None:
        """A round trip took so long."""
        self._bridged_seconds = self._slots * min(seconds, LONGEST_WAIT_MS / 1000 * _PRUDENCE)
        # A clock that stands still tells nothing: handlers have to be quick as far as it can be known.
        self.jobs = min(self.most, int(self._bridged_seconds / max(self._run_seconds, 1e-9)))

    def distrust(self) -> None:
        """A job waited for longer than it should, or is about to cost us a worker: the handler is unknown again."""
        self._run_seconds = _UNKNOWN_SECONDS
        self.jobs = 0
