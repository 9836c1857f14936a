"""Waiting for the ends of many jobs at once, over one connection."""

import asyncio
from collections.abc import Sequence
from typing import Final

from taskora.contracts import BackendError
from taskora.producer._group_commit import GroupCommit
from taskora.producer._results import FINAL_EVENTS, RECHECK_MS, Deadline, is_settled
from taskora.wire import Backend, EventFeed, JobStatus, LastEvent, ReadStatuses, StreamEvent

_STATUS_BATCH: Final = 200
_LONGEST_PAUSE: Final = 5.0

Waiters = dict[str, list["asyncio.Future[JobStatus | None]"]]


class ResultHub:
    """One reader of event streams for all waits of a producer.

    Results are read from the jobs themselves. An event only says when to look; all waits look every two seconds
    anyway, so that one that is missed delays a result and never loses it.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._waiters: dict[str, Waiters] = {}
        self._positions: dict[str, str] = {}
        self._checks: dict[str, GroupCommit[str, JobStatus | None]] = {}
        self._feed: EventFeed | None = None
        self._reader: asyncio.Task[None] | None = None

    async def wait(self, task: str, job_id: str, deadline: Deadline) -> JobStatus | None:
        """The status of a job once it has ended; None if it does not exist.

        Raises:
            JobTimeoutError: the deadline passed.
        """
        left_ms = deadline.left_ms()
        try:
            async with asyncio.timeout(None if left_ms is None else left_ms / 1000):
                return await self._wait(task, job_id)
        except TimeoutError:
            # A job may have ended together with the patience of its waiter.
            (status,) = await self._read(task, (job_id,))
            if is_settled(status):
                return status
            raise deadline.error(task, job_id) from None

    async def _wait(self, task: str, job_id: str) -> JobStatus | None:
        future: asyncio.Future[JobStatus | None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(task, {}).setdefault(job_id, []).append(future)
        try:
            await self._watch(task)
            status = await self._check(task, job_id)
            return status if is_settled(status) else await future
        finally:
            self._forget(task, job_id, future)

    async def _watch(self, task: str) -> None:
        if task not in self._positions:
            # Before the job is looked at, so that nothing that happens in between is missed.
            position = await self._backend.run(LastEvent(task=task))
            self._positions.setdefault(task, position)
            if self._feed is not None:
                await self._feed.interrupt()
        if self._reader is None or self._reader.done():
            self._reader = asyncio.get_running_loop().create_task(self._read_events())

    async def _check(self, task: str, job_id: str) -> JobStatus | None:
        checks = self._checks.get(task)
        if checks is None:
            checks = GroupCommit[str, JobStatus | None](lambda ids: self._read(task, ids), limit=_STATUS_BATCH)
            self._checks[task] = checks
        return await checks.submit(job_id)

    async def _read(self, task: str, job_ids: Sequence[str]) -> Sequence[JobStatus | None]:
        return await self._backend.run(ReadStatuses(task=task, job_ids=job_ids))

    def _forget(self, task: str, job_id: str, future: "asyncio.Future[JobStatus | None]") -> None:
        waiters = self._waiters[task]
        waiters[job_id].remove(future)
        if not waiters[job_id]:
            del waiters[job_id]

    async def _read_events(self) -> None:
        self._feed = feed = self._backend.open_feed()
        pause = 0.1
        try:
            while True:
                try:
                    events = await feed.read(dict(self._positions), block_ms=RECHECK_MS)
                    await self._look(events)
                    if not events and not self._drop_unwatched():
                        return
                    pause = 0.1
                except BackendError:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            self._feed = None
            await feed.close()

    async def _look(self, events: Sequence[StreamEvent]) -> None:
        """Looks at the jobs that events name; at all of them when there was no event for a while."""
        named: dict[str, set[str]] = {}
        for event in events:
            if event.name in FINAL_EVENTS and event.job_id in self._waiters.get(event.task, {}):
                named.setdefault(event.task, set()).add(event.job_id)
        if not events:
            named = {task: set(waiters) for task, waiters in self._waiters.items() if waiters}
        for task, job_ids in named.items():
            await self._resolve(task, sorted(job_ids))
        for event in events:
            if event.task in self._positions:
                self._positions[event.task] = event.position

    def _drop_unwatched(self) -> bool:
        """After a quiet while, stops reading the streams that nobody waits on; false when none is left."""
        for task in [task for task in self._positions if not self._waiters.get(task)]:
            del self._positions[task]
        return bool(self._positions)

    async def _resolve(self, task: str, job_ids: Sequence[str]) -> None:
        for start in range(0, len(job_ids), _STATUS_BATCH):
            batch = job_ids[start : start + _STATUS_BATCH]
            for job_id, status in zip(batch, await self._read(task, batch), strict=True):
                if is_settled(status):
                    for future in self._waiters.get(task, {}).get(job_id, ()):
                        if not future.done():
                            future.set_result(status)

    async def close(self) -> None:
        """Ends the reader; waits that are under way are cancelled."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        for waiters in self._waiters.values():
            for futures in waiters.values():
                for future in futures:
                    future.cancel()
