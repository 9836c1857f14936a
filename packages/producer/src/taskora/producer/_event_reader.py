"""Following the events of tasks."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from taskora.contracts import BackendError
from taskora.producer._events import AnyJobEvent, job_events, needs_status
from taskora.producer._payload import PayloadCodec
from taskora.wire import Backend, JobStatus, LastEvent, ReadStatuses, StreamEvent

O = TypeVar("O")  # noqa: E741 - output

_BLOCK_MS: Final = 5000
_LONGEST_PAUSE: Final = 5.0


class EventReader:
    """Delivers every event of some tasks from the moment it was opened.

    A position advances only when its events were made whole: a connection that breaks in between repeats them, never
    skips them. Beyond some ten thousand events per task a slow reader loses the oldest.
    """

    def __init__(self, backend: Backend, codecs: Mapping[str, PayloadCodec[Any]]) -> None:
        self._backend = backend
        self._codecs = codecs
        self._positions: dict[str, str] = {}

    async def open(self) -> None:
        """Remembers where the streams end now."""
        for task in self._codecs:
            if task not in self._positions:
                self._positions[task] = await self._backend.run(LastEvent(task=task))

    async def __aiter__(self) -> AsyncIterator[AnyJobEvent[Any]]:
        feed = self._backend.open_feed()
        pause = 0.1
        try:
            while True:
                try:
                    await self.open()
                    entries = await feed.read(self._positions, block_ms=_BLOCK_MS)
                    statuses = await self._statuses(entries)
                    pause = 0.1
                except BackendError:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
                    continue
                for entry in entries:
                    self._positions[entry.task] = entry.position
                    status = statuses.get((entry.task, entry.job_id))
                    for event in job_events(entry, status, self._codecs[entry.task]):
                        yield event
        finally:
            await feed.close()

    async def _statuses(self, entries: Sequence[StreamEvent]) -> Mapping[tuple[str, str], JobStatus | None]:
        wanted: dict[str, dict[str, None]] = {}
        for entry in entries:
            if needs_status(entry):
                wanted.setdefault(entry.task, {})[entry.job_id] = None
        found: dict[tuple[str, str], JobStatus | None] = {}
        for task, job_ids in wanted.items():
            statuses = await self._backend.run(ReadStatuses(task=task, job_ids=tuple(job_ids)))
            found.update(((task, job_id), status) for job_id, status in zip(job_ids, statuses, strict=True))
        return found
