"""The event stream of one task."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from taskora.wire._events import StreamEvent
from taskora.wire._job import text_of

_LIMIT: Final = 10_000


class EventLog:
    """The newest entries, oldest first. Positions grow even when the clock steps back."""

    __slots__ = ("_events", "_last", "_task")

    def __init__(self, task: str) -> None:
        self._task = task
        self._events: deque[tuple[tuple[int, int], StreamEvent]] = deque(maxlen=_LIMIT)
        self._last = (0, 0)

    def __bool__(self) -> bool:
        return bool(self._events)

    def append(self, now_ms: int, name: str, job_id: str, fields: Mapping[str, bytes]) -> None:
        """Adds an event."""
        self._last = (now_ms, 0) if now_ms > self._last[0] else (self._last[0], self._last[1] + 1)
        event = StreamEvent(
            task=self._task,
            position=self.last_position,
            name=name,
            job_id=job_id,
            fields={field: text_of(value) or "" for field, value in fields.items()},
        )
        self._events.append((self._last, event))

    @property
    def last_position(self) -> str:
        """Position of the newest event, `0-0` when there never was one."""
        return f"{self._last[0]}-{self._last[1]}"

    def after(self, position: str, limit: int) -> list[StreamEvent]:
        """The first `limit` events after a position."""
        milliseconds, _, sequence = position.partition("-")
        start = (int(milliseconds), int(sequence or 0))
        newer: list[StreamEvent] = []
        for place, event in reversed(self._events):
            if place <= start:
                break
            newer.append(event)
        newer.reverse()
        return newer[:limit]
