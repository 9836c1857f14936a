"""What a worker costs that has nothing to do, and what it keeps of the jobs that it has run."""

import asyncio
import time
from typing import Final

from taskora.bench._drain import NOOP
from taskora.bench._rows import Row
from taskora.bench._server import ServerProbe
from taskora.bench.peers.drivers._probe import resident_bytes
from taskora.contracts import define_task
from taskora.producer import AsyncProducer
from taskora.worker import Defaults, Worker

_LANES: Final = 500
# Longer than a lane waits before it looks by itself.
_IDLE_SECONDS: Final = 20.0
_SETTLING_SECONDS: Final = 3.0
_BATCH: Final = 1000
_CONCURRENCY: Final = 100
_WARM: Final = 10_000

IDLE_ROWS: Final = (
    Row(name="idle_1_rss", title="memory of an idle worker of one task", unit="bytes"),
    Row(name="idle_1_connections", title="  connections", unit="calls"),
    Row(name="idle_1_requests", title="  requests per second", unit="calls"),
    Row(name="idle_500_rss", title=f"memory of each task more, up to {_LANES}", unit="bytes"),
    Row(name="idle_500_connections", title=f"  connections of {_LANES} idle tasks", unit="calls"),
    Row(name="idle_500_requests", title="  requests per second", unit="calls"),
    Row(name="idle_500_client_us", title="  worker CPU per second", unit="us"),
    Row(name="idle_500_server_us", title="  server time per second", unit="us"),
)


def memory_rows(jobs: int) -> tuple[Row, ...]:
    """The figures of `keeps`."""
    return (
        Row(name="worker_rss_warm", title=f"memory of a worker after {_WARM:,} jobs", unit="bytes"),
        Row(name="worker_rss", title=f"  after {jobs:,}", unit="bytes"),
    )


async def idle(url: str, _scale: float) -> dict[str, float]:
    """A worker of one task, then one of many, both without work."""
    one = await _idle(url, 1)
    many = await _idle(url, _LANES)
    return {
        "idle_1_rss": one["rss"],
        "idle_1_connections": one["connections"],
        "idle_1_requests": one["requests"],
        "idle_500_rss": (many["rss"] - one["rss"]) / (_LANES - 1),
        "idle_500_connections": many["connections"],
        "idle_500_requests": many["requests"],
        "idle_500_client_us": many["client_us"],
        "idle_500_server_us": many["server_us"],
    }


async def _idle(url: str, tasks: int) -> dict[str, float]:
    probe = ServerProbe(url)
    before_worker = probe.connections()
    worker = Worker(url)
    for number in range(tasks):
        worker.implement(define_task(f"idle-{number}", input=int, output=int), _answer)
    async with worker:
        await asyncio.sleep(_SETTLING_SECONDS)
        before, cpu, started = probe.sample(), time.process_time(), time.perf_counter()
        await asyncio.sleep(_IDLE_SECONDS)
        seconds = time.perf_counter() - started
        cpu = time.process_time() - cpu
        spent = probe.sample() - before
        return {
            "rss": resident_bytes(),
            "connections": probe.connections() - before_worker,
            "requests": spent.requests / seconds,
            "client_us": cpu * 1e6 / seconds,
            "server_us": spent.script_us / seconds,
        }


async def _answer(data: int) -> int:
    return data


async def keeps(jobs: int, url: str, scale: float) -> dict[str, float]:
    """Dispatches and runs one batch after the other, in one process."""
    done = asyncio.Semaphore(0)
    worker = Worker(url, defaults=Defaults(concurrency=_CONCURRENCY))

    @worker.implement(NOOP)
    async def handle(data: dict[str, int]) -> int:
        done.release()
        return data["n"]

    warm = 0.0
    async with worker, AsyncProducer(url) as producer:
        task = producer.register(NOOP)
        for start in range(0, int(jobs * scale), _BATCH):
            await task.dispatch_many([{"n": n} for n in range(start, start + _BATCH)])
            for _ in range(_BATCH):
                await done.acquire()
            if start + _BATCH <= _WARM:
                warm = resident_bytes()
        return {"worker_rss_warm": warm, "worker_rss": resident_bytes()}
