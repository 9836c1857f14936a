"""How fast a backlog is worked off, and what that costs both sides."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from taskora.bench._server import ServerProbe
from taskora.contracts import RateLimit, Stall, define_task
from taskora.producer import AsyncBoundTask, AsyncProducer
from taskora.worker import Defaults, Keep, Retention, Worker

NOOP: Final = define_task("noop", input=dict[str, int], output=int)
# Pruning and sweeping while a run is under way would be measured too.
KEEP_ALL: Final = Retention(completed=Keep(), failed=Keep(), cancelled=Keep(), expired=Keep())
NO_SWEEPS: Final = Defaults(stall=Stall(interval="10m"))
_BATCH: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What one backlog took: jobs per second; per job, microseconds of both sides and commands inside scripts."""

    rate: float
    server_us: float
    client_us: float
    commands: float


async def fill(url: str, jobs: int) -> None:
    """Enqueues a backlog of jobs that ask for nothing."""
    async with AsyncProducer(url) as producer:
        task: AsyncBoundTask[dict[str, int], int] = producer.register(NOOP)
        for start in range(0, jobs, _BATCH):
            await task.dispatch_many([{"n": n} for n in range(start, min(start + _BATCH, jobs))])


async def drain(url: str, *, jobs: int, concurrency: int, rate_limit: RateLimit | None = None) -> Drained:
    """Enqueues a backlog, then starts a worker and waits until it has run all of it."""
    await fill(url, jobs)
    probe = ServerProbe(url)
    done = asyncio.Event()
    count = 0
    worker = Worker(url, retention=KEEP_ALL, defaults=NO_SWEEPS)

    @worker.implement(NOOP, concurrency=concurrency, rate_limit=rate_limit)
    async def handle(data: dict[str, int]) -> int:
        nonlocal count
        count += 1
        if count == jobs:
            done.set()
        return data["n"]

    before, cpu = probe.sample(), time.process_time()
    started = time.perf_counter()
    async with worker:
        await done.wait()
        seconds = time.perf_counter() - started
        cpu = time.process_time() - cpu
    spent = probe.sample() - before
    return Drained(
        rate=jobs / seconds,
        server_us=spent.script_us / jobs,
        client_us=cpu * 1e6 / jobs,
        commands=spent.script_commands / jobs,
    )
