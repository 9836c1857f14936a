"""A storage under test, and the words in which the cases talk to it."""

import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, cast

import pytest

from taskora.contracts import JobState
from taskora.testing.conformance._clock import StorageClock
from taskora.testing.conformance._storage import Storage, Tricks
from taskora.wire import (
    Backend,
    Enqueue,
    Exchange,
    Exchanged,
    JobRecord,
    ListJobs,
    NewJob,
    Operation,
    Outcome,
    OutcomeKind,
    ReadJob,
    StreamEvent,
    SyncBackend,
)

R = TypeVar("R")
View: TypeAlias = Literal["asyncio", "threads"]

TASK = "work"
LEASE_MS = 600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One storage. With `sync`, operations go through its view for threads."""

    storage: Storage
    sync: SyncBackend | None

    @property
    def backend(self) -> Backend:
        """The storage, from asyncio."""
        backend = self.storage.backend
        if not hasattr(backend, "wait_for_work"):
            pytest.skip("the case needs a Backend for asyncio, this storage is for threads only")
        return cast("Backend", backend)

    @property
    def tricks(self) -> Tricks:
        """Ways to reach into the storage."""
        return self.storage.tricks

    @property
    def clock(self) -> StorageClock:
        """The clock that the storage goes by."""
        if self.storage.clock is None:
            pytest.skip("the case needs to know or to move the clock, and that of this storage cannot be set")
        return self.storage.clock

    @property
    def start_ms(self) -> int:
        """The instant at which the case began, by the clock of the storage."""
        return self.clock.start_ms

    def stop_time(self) -> None:
        """Does nothing where time stands still; elsewhere the case, which compares instants, is skipped."""
        _ = self.clock

    def now_ms(self) -> int:
        """What a worker takes for the time of the storage."""
        clock = self.storage.clock
        return time.time_ns() // 1_000_000 if clock is None else clock.now_ms()

    async def run(self, operation: Operation[R]) -> R:
        return self.sync.run(operation) if self.sync else await self.backend.run(operation)

    def advance(self, milliseconds: int) -> None:
        clock = self.clock
        self.tricks.time_passes(clock.now_ms(), milliseconds)
        clock.advance(milliseconds)

    async def enqueue(self, *jobs: NewJob | str, resend: bool = False) -> tuple[bool, ...]:
        return await self.run(enqueueing(*jobs, resend=resend))

    async def exchange(self, token: str = "T", *, slots: int = 0, **options: object) -> Exchanged:
        return await self.run(exchanging(token, slots=slots, **options))

    async def claim(self, *job_ids: str, token: str = "T") -> None:
        """Enqueues jobs and claims them."""
        await self.enqueue(*job_ids)
        reply = await self.exchange(token, slots=len(job_ids))
        assert ids(reply) == [*job_ids]

    async def settle(self, *outcomes: Outcome) -> Exchanged:
        return await self.exchange("unused", outcomes=outcomes)

    async def fail(self, *job_ids: str) -> None:
        """Enqueues jobs and lets them fail for good, in order."""
        await self.claim(*job_ids)
        await self.settle(*(failed(job_id) for job_id in job_ids))

    async def record(self, job_id: str) -> JobRecord:
        record = await self.run(ReadJob(task=TASK, job_id=job_id))
        assert record is not None
        return record

    async def state(self, job_id: str) -> JobState | None:
        record = await self.run(ReadJob(task=TASK, job_id=job_id))
        return None if record is None else record.status.state

    def lease(self, job_id: str) -> str | None:
        """The token that fences a job now."""
        return self.tricks.lease_of(TASK, job_id)

    async def listed(self, state: JobState, *, offset: int = 0, limit: int = 100) -> list[str]:
        page = await self.run(ListJobs(task=TASK, state=state, offset=offset, limit=limit))
        return [record.job_id for record in page.records]

    async def read(self, positions: dict[str, str], *, limit: int = 10_000) -> list[StreamEvent]:
        """What the streams hold now."""
        if self.sync:
            return self.sync.read_events(positions, block_ms=1, limit=limit)
        feed = self.backend.open_feed()
        try:
            return await feed.read(positions, block_ms=1, limit=limit)
        finally:
            await feed.close()

    async def events(self) -> list[str]:
        return shown(await self.read({TASK: "0-0"}))


@asynccontextmanager
async def opened(storage: Storage, view: View) -> AsyncGenerator[Subject]:
    """A storage as a case sees it; its view for threads is closed afterwards."""
    if view == "asyncio":
        yield Subject(storage=storage, sync=None)
    elif not hasattr(storage.backend, "wait_for_work"):
        yield Subject(storage=storage, sync=cast("Any", storage.backend))
    else:
        sync = cast("Backend", storage.backend).blocking()
        try:
            yield Subject(storage=storage, sync=sync)
        finally:
            sync.close()


def job(job_id: str, *, delay_ms: int = 0, priority: int = 0, ttl_ms: int = 0) -> NewJob:
    data = f'"{job_id}"'.encode()
    return NewJob(job_id=job_id, data=data, delay_ms=delay_ms, priority=priority, ttl_ms=ttl_ms)


def enqueueing(*jobs: NewJob | str, resend: bool = False) -> Enqueue:
    news = [job(item) if isinstance(item, str) else item for item in jobs]
    return Enqueue(task=TASK, version=1, max_attempts=3, jobs=news, resend=resend)


def exchanging(token: str, *, slots: int, **options: object) -> Exchange:
    settings: dict[str, object] = {"task": TASK, "lease_ms": LEASE_MS} | options
    return Exchange(token=token, slots=slots, **settings)  # type: ignore[arg-type]  # checked by the tests' success


def ids(reply: Exchanged) -> list[str]:
    return [claim.job_id for claim in reply.claims]


def completed(job_id: str, payload: bytes = b"1", *, token: str = "T") -> Outcome:
    return Outcome(kind=OutcomeKind.COMPLETED, job_id=job_id, token=token, payload=payload)


def retrying(job_id: str, *, delay_ms: int = 0, token: str = "T") -> Outcome:
    return Outcome(kind=OutcomeKind.RETRYING, job_id=job_id, token=token, payload=b"boom", delay_ms=delay_ms)


def failed(job_id: str, *, token: str = "T") -> Outcome:
    return Outcome(kind=OutcomeKind.FAILED, job_id=job_id, token=token, payload=b"boom")


def cancelled(job_id: str, *, token: str = "T") -> Outcome:
    return Outcome(kind=OutcomeKind.CANCELLED, job_id=job_id, token=token)


def released(job_id: str, *, delay_ms: int = 0, token: str = "T") -> Outcome:
    return Outcome(kind=OutcomeKind.RELEASED, job_id=job_id, token=token, delay_ms=delay_ms)


def declined(job_id: str, *, delay_ms: int = 0, token: str = "T") -> Outcome:
    return Outcome(kind=OutcomeKind.DECLINED, job_id=job_id, token=token, delay_ms=delay_ms)


def shown(events: Iterable[StreamEvent]) -> list[str]:
    """Events as text, fields in their order."""
    return [_shown(event) for event in events]


def _shown(event: StreamEvent) -> str:
    words: Sequence[str] = [event.name, event.job_id, *(f"{name}={text}" for name, text in event.fields.items())]
    return " ".join(words)
