"""Reading the events of tasks, written once for threads and for asyncio."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from taskora.contracts import BackendError
from taskora.producer._awaiting import AwaitEvents
from taskora.producer._events import AnyJobEvent, job_events, needs_status
from taskora.producer._payload import PayloadCodec
from taskora.wire import Flow, JobStatus, LastEvent, Pause, ReadStatuses, StreamEvent, ask, pause_after

_BLOCK_MS: Final = 5000
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0

_log: Final = logging.getLogger("taskora.producer")

Statuses = Mapping[tuple[str, str], JobStatus | None]


class EventCursor:
    """How far the events of some tasks have been read.

    A position advances only when its events were made whole: a connection that breaks in between repeats them, never
    skips them. Beyond some ten thousand events per task a slow reader loses the oldest.
    """

    def __init__(self, codecs: Mapping[str, PayloadCodec[Any]], positions: Mapping[str, str] | None = None) -> None:
        self._codecs: Final = codecs
        self._positions: Final[dict[str, str]] = dict(positions or {})
        self._failures = 0

    def open(self) -> Flow[None]:
        """Remembers where the streams end now, once."""
        for task in self._codecs:
            if task not in self._positions:
                self._positions[task] = yield from ask(LastEvent(task=task))

    def read(self) -> Flow[list[AnyJobEvent[Any]]]:
        """The next events; none when there were none for a while, or when the storage is out of reach."""
        try:
            entries: Sequence[StreamEvent] = yield AwaitEvents(self._positions, _BLOCK_MS)
            statuses = yield from _statuses(entries)
        except BackendError:
            self._failures += 1
            yield Pause(pause_after(self._failures, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE))
            return []
        self._failures = 0
        events: list[AnyJobEvent[Any]] = []
        for entry in entries:
            events += self._events_of(entry, statuses.get((entry.task, entry.job_id)))
            self._positions[entry.task] = entry.position
        return events

    def _events_of(self, entry: StreamEvent, status: JobStatus | None) -> list[AnyJobEvent[Any]]:
        """The events of one entry. One that cannot be made into any is passed over: it would be read for ever."""
        try:
            return job_events(entry, status, self._codecs[entry.task])
        except Exception as error:  # noqa: BLE001 - any program may write to the stream
            _log.warning(
                "event_passed_over", extra={"task": entry.task, "position": entry.position, "error": str(error)}
            )
            return []


def _statuses(entries: Sequence[StreamEvent]) -> Flow[Statuses]:
    wanted: dict[str, dict[str, None]] = {}
    for entry in entries:
        if needs_status(entry):
            wanted.setdefault(entry.task, {})[entry.job_id] = None
    found: dict[tuple[str, str], JobStatus | None] = {}
    for task, job_ids in wanted.items():
        statuses = yield from ask(ReadStatuses(task=task, job_ids=tuple(job_ids)))
        found.update(((task, job_id), status) for job_id, status in zip(job_ids, statuses, strict=True))
    return found
