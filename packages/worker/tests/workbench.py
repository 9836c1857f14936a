"""What the tests of the worker share: a contract or two, a storage that can be meddled with, and short words."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import redis

from taskora.contracts import BackendError, JobState, Stall, define_task
from taskora.producer import AsyncProducer, JobInfo
from taskora.wire import (
    Backend,
    Cancellation,
    Claim,
    EventFeed,
    Exchange,
    Keyspace,
    Operation,
    SyncBackend,
)
from taskora.wire.backends import MemoryBackend
from taskora.wire.backends._memory._task import StoredLease
from taskora.worker import Defaults, Worker
from tests.polling import aeventually

R = TypeVar("R")

double = define_task("double", input=int, output=int)
anything = define_task("anything", input=object)

QUICK_SWEEPS = Defaults(stall=Stall(interval="100ms", max_count=1))
SHORT_LEASE = "300ms"


def spin(seconds: float) -> None:
    """Blocks the thread, and an event loop that runs in it, as a handler does that computes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


async def find(source: Worker | AsyncProducer, job_id: str) -> JobInfo:
    """Everything about a job."""
    producer = source.producer if isinstance(source, Worker) else source
    info = await producer.inspector.find(job_id)
    assert info is not None
    return info


async def reach(worker: Worker, job_id: str, state: JobState) -> JobInfo:
    """Waits until a job is in a state."""

    async def look() -> JobInfo | None:
        info = await worker.producer.inspector.find(job_id)
        return info if info is not None and info.state is state else None

    info = await aeventually(look)
    assert info is not None
    return info


async def claim_like_a_lost_worker(worker: Worker, task: str, *, count: int = 1, lease_ms: int = 100) -> list[Claim]:
    """Claims jobs and never comes back."""
    reply = await worker._backend.run(Exchange(task=task, token="lost", lease_ms=lease_ms, slots=count))
    assert len(reply.claims) == count
    return list(reply.claims)


def give_lease(url: str, worker: Worker, job_id: str, token: str | None, *, task: str = "double") -> None:
    """Gives the lease of a running job to another worker, or to nobody, behind the back of its owner."""
    backend: object = getattr(worker._backend, "target", worker._backend)
    backend = getattr(backend, "inner", backend)
    backend = getattr(backend, "target", backend)
    if isinstance(backend, MemoryBackend):
        leases = backend._store.task(task).leases
        leases.pop(job_id)
        if token is not None:
            leases[job_id] = StoredLease(token, time.time_ns() // 1_000_000 + 600_000)
        return
    lock_key = Keyspace().task(task).lock_key(job_id)
    with redis.Redis.from_url(url) as client:
        if token is None:
            client.delete(lock_key)
        else:
            client.set(lock_key, token, px=600_000)


@dataclass
class Meddler:
    """A storage between a worker and its real one.

    `lose_replies` raises after so many operations of a kind were carried out, as when a connection breaks before the
    reply is read. `deaf` hears of no cancellation.
    """

    inner: Backend
    deaf: bool = False
    calls: Counter[str] = field(default_factory=Counter[str])
    lose_replies: Counter[str] = field(default_factory=Counter[str])
    before: Callable[[Operation[Any]], object] = lambda operation: None

    async def run(self, operation: Operation[R]) -> R:
        name = type(operation).__name__
        self.calls[name] += 1
        self.before(operation)
        reply = await self.inner.run(operation)
        if self.lose_replies[name] > 0:
            self.lose_replies[name] -= 1
            raise BackendError(f"the reply to {name} was lost")
        return reply

    async def wait_for_work(self, task: str, *, timeout_ms: int, now_ms: int) -> None:
        self.calls["wait_for_work"] += 1
        await self.inner.wait_for_work(task, timeout_ms=timeout_ms, now_ms=now_ms)

    @asynccontextmanager
    async def cancellations(self, tasks: Sequence[str]) -> AsyncGenerator[AsyncIterator[Cancellation]]:
        async with self.inner.cancellations(tasks) as requests:
            yield _silence() if self.deaf else requests

    def open_feed(self) -> EventFeed:
        return self.inner.open_feed()

    def blocking(self) -> SyncBackend:
        return self.inner.blocking()

    async def close(self) -> None:
        await self.inner.close()


async def _silence() -> AsyncIterator[Cancellation]:
    await asyncio.get_running_loop().create_future()
    yield Cancellation(task="", job_id="")
