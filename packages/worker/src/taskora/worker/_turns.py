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

    def add(self, attempts: Sequence[Attempt]) -> None:
        """They come after those that are here."""
        if attempts:
            self.waiting.extend(attempts)
            self._deadlines.watch(attempts)

    def first(self) -> Attempt:
        """Takes out the one whose turn it is."""
        attempt = self.waiting.popleft()
        self._deadlines.drop(attempt)
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
