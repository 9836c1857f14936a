"""A lane whose exchanges are answered by hand: in any order, with any trouble."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from packages.worker.tests.workbench import Meddler, double
from taskora.contracts import BackendError, Duration, Retry
from taskora.contracts.records import replace
from taskora.wire import Backend, CountJobs, Enqueue, Exchange, Exchanged, JobCounts, NewJob, Operation
from taskora.wire.backends import MemoryBackend
from taskora.worker import Context, Defaults
from taskora.worker._executor import Executor
from taskora.worker._handlers import OnCancel
from taskora.worker._implementation import resolve
from taskora.worker._invoking import in_event_loop
from taskora.worker._lane import Lane
from taskora.worker._prefetch import Prefetch

R = TypeVar("R")

_STEPS = 12


def no_pause(failures: int, *, first: float, longest: float) -> float:
    """Instead of `pause_after`."""
    return 0


async def settle_down() -> None:
    """Lets everybody do what can be done without an answer."""
    for _ in range(_STEPS):
        await asyncio.sleep(0)


@dataclass(eq=False, slots=True)
class Asked:
    """An exchange that waits for its answer, and its answer."""

    operation: Exchange
    answer: asyncio.Future[Exchanged]


@dataclass
class Desk(Meddler):
    """A storage whose exchanges wait until the test answers them. `asked` are those without an answer, oldest first.

    `history` are all that ever came, also those that were repeated. Jobs whose ids are in `stalled` have lost a
    worker.
    """

    asked: list[Asked] = field(default_factory=list[Asked])
    history: list[Exchange] = field(default_factory=list[Exchange])
    stalled: set[str] = field(default_factory=set[str])
    _token: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, operation: Operation[R]) -> R:
        if not isinstance(operation, Exchange):
            return await self.inner.run(operation)
        asked = Asked(operation, asyncio.get_running_loop().create_future())
        self.asked.append(asked)
        self.history.append(operation)
        reply: Any = await asked.answer
        return cast("R", reply)

    async def wait_for_work(self, task: str, *, timeout_ms: int, now_ms: int) -> None:
        self.calls["wait_for_work"] += 1
        await self._token.wait()
        self._token.clear()

    async def ring(self) -> None:
        """Gives whoever waits the token."""
        self._token.set()
        await settle_down()

    async def reply(self, number: int = 0) -> None:
        """Carries one out and answers it."""
        asked = self.asked.pop(number)
        exchanged = await self.inner.run(asked.operation)
        claims = [replace(claim, has_stalled=claim.job_id in self.stalled) for claim in exchanged.claims]
        asked.answer.set_result(replace(exchanged, claims=tuple(claims)))
        await settle_down()

    async def lose_reply(self, number: int = 0) -> None:
        """Carries one out and answers that something is wrong."""
        asked = self.asked.pop(number)
        await self.inner.run(asked.operation)
        asked.answer.set_exception(BackendError("the reply was lost"))
        await settle_down()

    async def fail(self, number: int = 0, *, for_good: bool = False) -> None:
        """Carries one out never."""
        self.asked.pop(number).answer.set_exception(BackendError("no", is_permanent=for_good))
        await settle_down()

    async def enqueue(self, *job_ids: str) -> None:
        jobs = [NewJob(job_id=job_id, data=b"1") for job_id in job_ids]
        await self.inner.run(Enqueue(task="double", version=1, max_attempts=1, jobs=jobs))

    async def counts(self) -> JobCounts:
        return await self.inner.run(CountJobs(task="double"))


@dataclass
class Handlers:
    """Handlers that end when they are told to."""

    running: dict[str, asyncio.Future[None]] = field(default_factory=dict[str, "asyncio.Future[None]"])
    started: list[str] = field(default_factory=list[str])

    async def __call__(self, data: int, ctx: Context) -> int:
        self.started.append(ctx.id)
        self.running[ctx.id] = asyncio.get_running_loop().create_future()
        try:
            await self.running[ctx.id]
        finally:
            del self.running[ctx.id]
        return data

    async def end(self, count: int | None = None) -> list[str]:
        """Ends so many, oldest first, or all."""
        ended = [*self.running][:count]
        for job_id in ended:
            self.running[job_id].set_result(None)
        await settle_down()
        return ended


class Trusting(Prefetch):
    """Takes every handler for a quick one."""

    def __init__(self, most: int) -> None:
        super().__init__(most, slots=1)
        self.jobs = most

    def ran(self, seconds: float) -> None:
        """It knows already."""

    def answered(self, seconds: float) -> None:
        """It knows already."""

    def distrust(self) -> None:
        """It does not listen."""


def make_lane(
    backend: Backend,
    handle: Callable[[int, Context], Awaitable[int]],
    concurrency: int,
    *,
    retry: Retry | None = None,
    time_limit: Duration | None = None,
    prefetch: int | Prefetch = 0,
    on_cancel: OnCancel[int] | None = None,
) -> Lane:
    """A lane that hands failures to nobody, and always claims so many jobs before their turn."""
    defaults = Defaults(concurrency=concurrency, timeout=time_limit, retry=retry or Retry())
    implementation = resolve(double, handle, defaults, None, on_cancel=on_cancel)
    executor = Executor(implementation, (), in_event_loop(implementation), backend.run)
    return Lane(
        backend,
        implementation,
        executor,
        lease_ms=600_000,
        on_failure=lambda attempt, outcome, implementation: None,
        on_trouble=lambda error: None,
        prefetch=Trusting(prefetch) if isinstance(prefetch, int) else prefetch,
    )


@asynccontextmanager
async def working(
    concurrency: int,
    *,
    jobs: int = 0,
    retry: Retry | None = None,
    time_limit: Duration | None = None,
    prefetch: int | Prefetch = 0,
    on_cancel: OnCancel[int] | None = None,
) -> AsyncGenerator[tuple[Lane, Desk, Handlers, "asyncio.Task[None]"]]:
    """A lane that works, with a backlog."""
    desk, handlers = Desk(MemoryBackend()), Handlers()
    await desk.enqueue(*(str(number) for number in range(jobs)))
    lane = make_lane(
        desk, handlers, concurrency, retry=retry, time_limit=time_limit, prefetch=prefetch, on_cancel=on_cancel
    )
    running = asyncio.create_task(lane.run())
    await settle_down()
    try:
        yield lane, desk, handlers, running
    finally:
        running.cancel()
        await asyncio.wait([running])
        await desk.inner.close()
