"""Waiting for the ends of many jobs at once, over one connection."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from time import monotonic
from typing import Any, Final, Generic, TypeAlias, TypeVar

from taskora.contracts import BackendError
from taskora.contracts.records import record
from taskora.producer._awaiting import LAST_LOOK_S, LOOK_EVENTS, RECHECK_MS, Awaited, Deadline, closed_error
from taskora.producer._group_commit import GroupCommit
from taskora.producer._results import expired_status, is_settled
from taskora.wire import Backend, EventFeed, JobStatus, LastEvent, ReadStatuses, StreamEvent, pause_after

_STATUS_BATCH: Final = 200
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0

_log: Final = logging.getLogger("taskora.producer")

S = TypeVar("S")


@record(kw_only=False)
class Seen(Generic[S]):
    """What a wait was for."""

    value: S


Waiter: TypeAlias = "asyncio.Future[JobStatus | None]"


class ResultHub:
    """One reader of event streams for all waits of a producer.

    Results are read from the jobs themselves. An event only says when to look; all waits look every two seconds
    anyway, so that one that is missed delays a result and never loses it.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._waiters: dict[str, dict[str, list[Waiter]]] = {}
        self._positions: dict[str, str] = {}
        self._openings: dict[str, asyncio.Task[None]] = {}
        self._checks: dict[str, GroupCommit[str, JobStatus | None]] = {}
        self._feed: EventFeed | None = None
        self._reader: asyncio.Task[None] | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._closed = False

    async def wait(self, task: str, job_id: str, deadline: Deadline) -> JobStatus | None:
        """The status of a job once it has ended; None if it does not exist.

        Raises:
            JobTimeoutError: the deadline passed; its cause, if there is one, is why the storage could not be asked.
            BackendError: the storage cannot be reached. A wait that has begun outlasts that.
            UsageError: the producer was closed.
        """

        async def check() -> Seen[JobStatus | None] | None:
            status = await self._check(task, job_id)
            return Seen(status) if is_settled(status) else None

        return await self._in_time(Awaited(task, job_id), lambda: self._wait(task, job_id), check, deadline)

    async def wait_until(
        self, awaited: Awaited, look: "Callable[[], Awaitable[Seen[S] | None]]", deadline: Deadline
    ) -> S:
        """What `look` sees, once it sees anything. It looks at every final event about an id, and every two seconds.

        Raises as `wait` does.
        """
        return await self._in_time(awaited, lambda: self._look_until(awaited, look), look, deadline)

    async def _in_time(
        self,
        awaited: Awaited,
        wait: "Callable[[], Awaitable[S]]",
        look: "Callable[[], Awaitable[Seen[S] | None]]",
        deadline: Deadline,
    ) -> S:
        left_ms = deadline.left_ms()
        scope = asyncio.timeout(None if left_ms is None else left_ms / 1000)
        if left_ms != 0:
            try:
                async with scope:
                    return await wait()
            except TimeoutError:
                if not scope.expired():
                    raise
            except BackendError as error:
                if self._closed:
                    raise closed_error() from error
                raise
        return await _last_look(awaited, look, deadline)

    async def _wait(self, task: str, job_id: str) -> JobStatus | None:
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(task, {}).setdefault(job_id, []).append(waiter)
        try:
            await self._watch(task)
            status = await self._check(task, job_id)
            return status if is_settled(status) else await waiter
        finally:
            self._forget(task, job_id, waiter)

    async def _look_until(self, awaited: Awaited, look: "Callable[[], Awaitable[Seen[S] | None]]") -> S:
        """The first look may fail, later ones are made again."""
        task, about = awaited.told_in, awaited.id
        begun, failures = False, 0
        while True:
            waiter: Waiter = asyncio.get_running_loop().create_future()
            self._waiters.setdefault(task, {}).setdefault(about, []).append(waiter)
            try:
                await self._watch(task)
                seen = await look()
                if seen is not None:
                    return seen.value
                begun, failures = True, 0
                await waiter
            except BackendError:
                if not begun or self._closed:
                    raise
                failures += 1
                await asyncio.sleep(pause_after(failures, first=_FIRST_PAUSE, longest=RECHECK_MS / 1000))
            finally:
                self._forget(task, about, waiter)

    async def _watch(self, task: str) -> None:
        """Makes sure that the events of a task are read, from before now on.

        Whoever comes here is among the waiters already: the reader does not drop what it is about to rely on.
        """
        if task not in self._positions:
            opening = self._openings.get(task)
            if opening is None:
                opening = self._openings[task] = asyncio.get_running_loop().create_task(self._open(task))
                opening.add_done_callback(_mark_as_seen)
            await asyncio.wait((opening,))  # not awaited itself: whoever was first may give up, and others rely on it
            if not self._closed:
                opening.result()
        if self._closed:
            raise closed_error()
        if self._reader is None:
            self._reader = reader = asyncio.get_running_loop().create_task(self._read())
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)

    async def _open(self, task: str) -> None:
        try:
            self._positions[task] = await self._backend.run(LastEvent(task=task))
            if self._feed is not None:
                await self._feed.interrupt()
        finally:
            del self._openings[task]

    async def _check(self, task: str, job_id: str) -> JobStatus | None:
        checks = self._checks.get(task)
        if checks is None:
            checks = GroupCommit[str, JobStatus | None](
                lambda ids: self._statuses(task, ids), cut=lambda ids: min(len(ids), _STATUS_BATCH)
            )
            self._checks[task] = checks
        return await checks.submit(job_id)

    async def _statuses(self, task: str, job_ids: Sequence[str]) -> Sequence[JobStatus | None]:
        return await self._backend.run(ReadStatuses(task=task, job_ids=job_ids))

    def _forget(self, task: str, job_id: str, waiter: Waiter) -> None:
        waiter.cancel()
        _mark_as_seen(waiter)
        jobs = self._waiters[task]
        jobs[job_id].remove(waiter)
        if not jobs[job_id]:
            del jobs[job_id]
        if not jobs:
            del self._waiters[task]

    async def _read(self) -> None:
        feed = self._feed = self._backend.open_feed()
        try:
            await self._follow(feed)
        except Exception as error:  # noqa: BLE001 - a bug, not an outage; nobody may wait for ever because of it
            self._fail(error)
            self._retire()
        finally:
            await feed.close()

    async def _follow(self, feed: EventFeed) -> None:
        failures = 0
        recheck_at = monotonic() + RECHECK_MS / 1000
        while True:
            try:
                events = await feed.read(dict(self._positions), block_ms=RECHECK_MS)
                await self._look(_ended_jobs(events, LOOK_EVENTS), expired=_ended_jobs(events, {"expired"}))
                self._positions.update((event.task, event.position) for event in events)
                failures = 0
                if events and monotonic() < recheck_at:
                    continue
            except BackendError as error:
                failures += 1
                pause = pause_after(failures, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
                _log.warning("result_feed_failed", extra={"error": str(error), "pause": pause})
                await asyncio.sleep(pause)
            if not await self._recheck():
                continue
            recheck_at = monotonic() + RECHECK_MS / 1000
            self._drop_unwatched()
            if not self._waiters:
                self._retire()
                return

    async def _recheck(self) -> bool:
        """Looks at everything that is waited for; false when the storage is out of reach."""
        try:
            await self._look([(task, job_id) for task, jobs in self._waiters.items() for job_id in jobs])
        except BackendError:
            return False
        return True

    async def _look(self, jobs: Iterable[tuple[str, str]], *, expired: Sequence[tuple[str, str]] = ()) -> None:
        wanted: dict[str, list[str]] = {}
        for task, job_id in jobs:
            if job_id in self._waiters.get(task, {}):
                wanted.setdefault(task, []).append(job_id)
        for task, job_ids in wanted.items():
            for start in range(0, len(job_ids), _STATUS_BATCH):
                batch = job_ids[start : start + _STATUS_BATCH]
                for job_id, status in zip(batch, await self._statuses(task, batch), strict=True):
                    if status is None and (task, job_id) in expired:
                        self._settle(task, job_id, expired_status())
                    elif is_settled(status):
                        self._settle(task, job_id, status)

    def _settle(self, task: str, job_id: str, status: JobStatus | None) -> None:
        for waiter in self._waiters.get(task, {}).get(job_id, ()):
            if not waiter.done():
                waiter.set_result(status)

    def _drop_unwatched(self) -> None:
        for task in [task for task in self._positions if task not in self._waiters]:
            del self._positions[task]

    def _retire(self) -> None:
        """The reader stops here: in one step with its decision, so that a new wait starts a new one."""
        self._positions.clear()
        self._feed = self._reader = None

    def _fail(self, error: Exception) -> None:
        for jobs in self._waiters.values():
            for waiters in jobs.values():
                for waiter in waiters:
                    if not waiter.done():
                        waiter.set_exception(error)

    async def close(self) -> None:
        """Ends the reader; waits that are under way raise `UsageError`."""
        await asyncio.gather(*self.abandon(), return_exceptions=True)

    def abandon(self) -> "list[asyncio.Task[None]]":
        """The same without waiting for the reader; returns what has not ended yet."""
        self._closed = True
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._fail(closed_error())
        tasks = [task for task in (*self._readers, *self._openings.values()) if not task.done()]
        for task in tasks:
            with contextlib.suppress(RuntimeError):
                task.cancel()
        return tasks


async def _last_look(awaited: Awaited, look: "Callable[[], Awaitable[Seen[S] | None]]", deadline: Deadline) -> S:
    """What is waited for may have come together with the end of the patience."""
    try:
        async with asyncio.timeout(None if deadline.timeout_ms == 0 else LAST_LOOK_S):
            seen = await look()
    except (TimeoutError, BackendError) as error:
        if deadline.timeout_ms == 0:  # this was the first look, too
            raise
        raise awaited.too_late(deadline) from error
    if seen is None:
        raise awaited.too_late(deadline)
    return seen.value


def _mark_as_seen(future: asyncio.Future[Any]) -> None:
    """Keeps asyncio from complaining of an error that nobody was left to be told of."""
    if not future.cancelled():
        future.exception()


def _ended_jobs(events: Sequence[StreamEvent], names: Collection[str]) -> list[tuple[str, str]]:
    return [(event.task, event.job_id) for event in events if event.name in names]
