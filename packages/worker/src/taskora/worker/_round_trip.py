"""One exchange of a lane, from when it leaves until its answer is known."""

from typing import Final

from taskora.wire import Exchange
from taskora.worker._ended import Ended


class RoundTrip:
    """What is asked, and the attempts that it settles: none of them is in another one.

    `number` grows with each request of the lane. `is_careful` is what `EndedAttempts` was when it gave them out.
    """

    __slots__ = ("batch", "has_failed", "is_careful", "number", "operation")

    def __init__(self, operation: Exchange, batch: list[Ended], *, is_careful: bool) -> None:
        self.operation = operation
        self.batch: Final = batch
        self.is_careful: Final = is_careful
        self.number = 0
        self.has_failed = False
