"""Time that only tests move."""

from collections.abc import Callable
from typing import Final

START_MS: Final = 1_800_000_000_000
MINUTE_MS: Final = 60_000


class StorageClock:
    """A clock that stands still until it is moved. Give it to the backend under test.

    Args:
        start_ms: What it says first, in epoch milliseconds.
    """

    def __init__(self, start_ms: int = START_MS) -> None:
        self.start_ms: Final = start_ms
        self._now_ms = start_ms
        self._listeners: list[Callable[[], None]] = []

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return self._now_ms

    def advance(self, milliseconds: int) -> None:
        """Moves the clock, then tells whoever wants to know."""
        self._now_ms += milliseconds
        for listener in self._listeners:
            listener()

    def on_move(self, listener: Callable[[], None]) -> None:
        """Has `listener` called after every move: for a backend in which somebody waits for an instant."""
        self._listeners.append(listener)
