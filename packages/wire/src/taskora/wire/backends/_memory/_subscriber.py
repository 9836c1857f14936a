"""Those who want to hear of cancellations."""

from collections import deque

from taskora.wire._backend import Cancellation
from taskora.wire.backends._memory._waiting import AsyncSleeper


class Subscriber:
    """One listener and the messages it has not read yet."""

    __slots__ = ("messages", "sleeper")

    def __init__(self, sleeper: AsyncSleeper) -> None:
        self.sleeper = sleeper
        self.messages: deque[Cancellation] = deque()

    def tell(self, message: Cancellation) -> None:
        """Adds a message and wakes the listener."""
        self.messages.append(message)
        self.sleeper.wake()
