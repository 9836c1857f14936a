"""Attempts that were claimed before there is a slot for them."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from taskora.worker._attempt import Attempt
from taskora.worker._deadlines import Deadlines
from taskora.worker._prefetch import LONGEST_WAIT_MS


class Turns:
    """Attempts whose turn has not come. `expire` gets each one that waits for too long.

    Attributes:
        waiting: They, in order; for others to look at.
    """

    def __init__(self, expire: Callable[[Attempt], None]) -> None:
        self.waiting: Final[deque[Attempt]] = deque()
        self._deadlines: Final = Deadlines(LONGEST_WAIT_MS, expire)
        self._longest_seconds: Final = LONGEST_WAIT_MS / 1000

    def add(self, attempts: Sequence[Attempt], now: float) -> None:
        """They come after those that are here. `now` is of the monotonic clock."""
        for attempt in attempts:
            attempt.slot_since = now
        if attempts:
            self.waiting.extend(attempts)
            self._deadlines.watch(attempts)

    def first(self, now: float) -> Attempt | None:
        """Takes out the one whose turn it is, and whose time begins now; None if it has waited for too long.

        A timer says that only as long as nothing holds up the event loop, or the process. Then its lease may be over.
        """
        waited = now - self.waiting[0].slot_since
        if waited > self._longest_seconds:
            return None
        attempt = self.waiting.popleft()
        self._deadlines.drop(attempt)
        attempt.claimed_ms += int(waited * 1000)
        return attempt

    def last(self) -> Attempt:
        """Takes out the one that came last."""
        attempt = self.waiting.pop()
        self._deadlines.drop(attempt)
        return attempt

    def remove(self, attempt: Attempt) -> bool:
        """Takes out this one; false if it does not wait."""
        if attempt not in self.waiting:
            return False
        self.waiting.remove(attempt)
        self._deadlines.drop(attempt)
        return True

    def close(self) -> None:
        """Nobody waits any more."""
        self.waiting.clear()
        self._deadlines.close()
