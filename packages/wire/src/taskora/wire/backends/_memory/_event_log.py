"""The event stream of one task."""

from collections import deque
from collections.abc import Mapping
from typing import Final, TypeAlias

from taskora.wire._events import StreamEvent
from taskora.wire._job import text_of
from taskora.wire.backends._memory._record import Value, encoded

_LIMIT: Final = 10_000

Place: TypeAlias = tuple[int, int]
Entry: TypeAlias = tuple[Place, str, str, Mapping[str, Value]]


class EventLog:
    """The newest entries, oldest first. Positions grow even when the clock steps back."""

    __slots__ = ("_entries", "_last", "_task")

    def __init__(self, task: str) -> None:
        self._task = task
        self._entries: deque[Entry] = deque(maxlen=_LIMIT)
        self._last: Place = (0, 0)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def append(self, now_ms: int, name: str, job_id: str, fields: Mapping[str, Value]) -> None:
        """Adds an event."""
        self._last = (now_ms, 0) if now_ms > self._last[0] else (self._last[0], self._last[1] + 1)
        self._entries.append((self._last, name, job_id, fields))

    def clear(self) -> None:
        """Drops all events; positions go on from where they were."""
        self._entries.clear()

    @property
    def last_position(self) -> str:
        """Position of the newest event, `0-0` when there never was one."""
        return _position(self._last)

    def after(self, position: str, limit: int) -> list[StreamEvent]:
        """The first `limit` events after a position."""
        milliseconds, _, sequence = position.partition("-")
        start = (int(milliseconds), int(sequence or 0))
        newer: list[Entry] = []
        for entry in reversed(self._entries):
            if entry[0] <= start:
                break
            newer.append(entry)
        newer.reverse()
        return [self._event(entry) for entry in newer[:limit]]

    def _event(self, entry: Entry) -> StreamEvent:
        place, name, job_id, fields = entry
        texts = {field: text_of(encoded(value)) or "" for field, value in fields.items()}
        return StreamEvent(task=self._task, position=_position(place), name=name, job_id=job_id, fields=texts)


def _position(place: Place) -> str:
    return f"{place[0]}-{place[1]}"
