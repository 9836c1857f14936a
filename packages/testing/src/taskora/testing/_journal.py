"""Everything that happened in a storage, in the order in which it did."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from taskora.producer import ActiveEvent, AnyJobEvent, PayloadCodec, job_events
from taskora.testing._clock import instant
from taskora.testing._reports import Moment, Step, step_of
from taskora.wire import ReadStatuses, StreamEvent
from taskora.wire.backends import MemoryBackend

CodecOf: TypeAlias = Callable[[str], PayloadCodec[Any]]

_ALL: Final = 1_000_000


class Journal:
    """Events of all tasks. Streams have an order of their own each; this one is that of the operations."""

    def __init__(self, memory: MemoryBackend, codec_of: CodecOf) -> None:
        self._reader: Final = memory.blocking()
        self._codec_of: Final = codec_of
        self._lock: Final = threading.Lock()
        self._positions: Final[dict[str, str]] = {}
        self._attempts: Final[dict[tuple[str, str], int]] = {}
        self._jobs: Final[dict[tuple[str, str], None]] = {}
        self._events: Final[list[AnyJobEvent[Any]]] = []
        self._steps: Final[list[Step]] = []

    def note(self, task: str) -> None:
        """Takes in what an operation, which is now complete, did to a task."""
        with self._lock:
            entries = self._reader.read_events({task: self._positions.get(task, "0-0")}, block_ms=0, limit=_ALL)
            for entry in entries:
                self._positions[task] = entry.position
                self._take(entry)

    def _take(self, entry: StreamEvent) -> None:
        job = (entry.task, entry.job_id)
        self._jobs.setdefault(job)
        (status,) = self._reader.run(ReadStatuses(task=entry.task, job_ids=(entry.job_id,)))
        for event in job_events(entry, status, self._codec_of(entry.task)):
            if isinstance(event, ActiveEvent):
                self._attempts[job] = event.attempt
            self._events.append(event)
            step = step_of(event, self._attempts.get(job, 0))
            if step is not None:
                self._steps.append(step)

    @property
    def jobs(self) -> list[tuple[str, str]]:
        """Task and id of every job, in the order in which they came."""
        with self._lock:
            return list(self._jobs)

    @property
    def tasks(self) -> list[str]:
        """The tasks that had a job, in the order in which they came."""
        return list(dict.fromkeys(task for task, _ in self.jobs))

    @property
    def steps(self) -> list[Step]:
        """What ended, in order."""
        with self._lock:
            return list(self._steps)

    def events_from(self, index: int) -> Sequence[AnyJobEvent[Any]]:
        """The events after the first `index` ones."""
        with self._lock:
            return self._events[index:]

    def timeline(self, task: str, job_id: str) -> tuple[Moment, ...]:
        """What happened to one job."""
        events = self.events_from(0)
        mine = [event for event in events if (event.task, event.job_id) == (task, job_id)]
        return tuple(Moment(at=instant(event.timestamp_ms), event=event) for event in mine)

    def attempts(self, task: str, job_id: str) -> int:
        """How many attempts of a job began."""
        return self._attempts.get((task, job_id), 0)

    def clear(self) -> None:
        """Forgets everything; what comes next is noted as ever."""
        with self._lock:
            for held in (self._attempts, self._jobs, self._events, self._steps):
                held.clear()
