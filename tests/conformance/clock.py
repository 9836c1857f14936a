"""Time that only tests move."""

START_MS = 1_800_000_000_000


class VirtualClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self._now_ms = START_MS

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, milliseconds: int) -> None:
        self._now_ms += milliseconds
