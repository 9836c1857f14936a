"""Time that stands still until somebody moves it."""

from datetime import UTC, datetime, timedelta

from taskora.contracts import Duration, UsageError, to_milliseconds


class VirtualClock:
    """A clock that is moved by hand, and never back.

    Args:
        start: Where it begins, with a time zone; by default now.
    """

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.tzinfo is None:
            raise UsageError.for_field("start", start, "a datetime with a time zone, such as datetime(..., tzinfo=UTC)")
        begin = start or datetime.now(UTC)
        self._now_ms = (begin - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return self._now_ms

    @property
    def now(self) -> datetime:
        """The instant, in UTC."""
        return instant(self._now_ms)

    def move_to(self, instant_ms: int) -> None:
        """Goes to an instant, unless it has passed."""
        self._now_ms = max(self._now_ms, instant_ms)

    def move(self, duration: Duration) -> None:
        """Goes on by some time."""
        self._now_ms += to_milliseconds(duration, field="duration", allow_zero=True)


def instant(epoch_ms: int) -> datetime:
    """Epoch milliseconds as a datetime in UTC."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=epoch_ms)
