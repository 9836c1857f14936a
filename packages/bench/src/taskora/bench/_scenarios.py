"""The measurements. Each takes a server that holds nothing and returns some rows.

Handlers do nothing and results are stored: what is measured is the queue.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from statistics import quantiles
from typing import Final, TypeAlias

from taskora.bench._backlogs import BACKLOGS, LARGE_BACKLOGS, Backlog
from taskora.bench._backlogs import measure as measure_backlog
from taskora.bench._drain import KEEP_ALL, NOOP, drain
from taskora.bench._fleet import FLEETS
from taskora.bench._fleet import measure as measure_fleet
from taskora.bench._flow import CASES, measure
from taskora.bench._footprint import IDLE_ROWS, idle, keeps, memory_rows
from taskora.bench._rows import ROWS, Row
from taskora.bench._server import ServerProbe
from taskora.bench._startup import STARTUP_ROWS, startup
from taskora.bench._stream import STREAM_ROWS, stream
from taskora.bench._workflows import WORKFLOW_ROWS, WORKFLOWS
from taskora.bench.peers.drivers._probe import resident_bytes
from taskora.producer import AsyncProducer
from taskora.worker import Defaults, Worker

Figures: TypeAlias = dict[str, float]
Scenario: TypeAlias = Callable[[str, float], Awaitable[Figures]]

_BULK: Final = 50
_LATENCY_PAUSE: Final = 0.002


async def enqueue(url: str, scale: float) -> Figures:
    """One dispatch after the other, each awaited."""
    async with AsyncProducer(url) as producer:
        task = producer.register(NOOP)
        await task.dispatch({"n": 0})
        count = int(5000 * scale)
        started = time.perf_counter()
        for n in range(count):
            await task.dispatch({"n": n})
        return {"enqueue": count / (time.perf_counter() - started)}


async def enqueue_bulk(url: str, scale: float) -> Figures:
    """Batches of fifty; also what the server spends on them, and keeps."""
    probe = ServerProbe(url)
    async with AsyncProducer(url) as producer:
        task = producer.register(NOOP)
        await task.dispatch({"n": 0})
        batches = int(600 * scale)
        before = probe.sample()
        started = time.perf_counter()
        for _ in range(batches):
            await task.dispatch_many([{"n": n} for n in range(_BULK)])
        seconds = time.perf_counter() - started
        spent = probe.sample() - before
    jobs = batches * _BULK
    return {
        "enqueue_bulk": jobs / seconds,
        "server_us_enqueue": spent.script_us / jobs,
        "bytes_per_job": spent.memory_bytes / jobs,
    }


async def process_1(url: str, scale: float) -> Figures:
    """A backlog, one job at a time."""
    drained = await drain(url, jobs=int(5000 * scale), concurrency=1)
    return {"process_1": drained.rate, "commands_1": drained.commands}


async def process_100(url: str, scale: float) -> Figures:
    """A backlog, a hundred jobs at a time."""
    drained = await drain(url, jobs=int(40_000 * scale), concurrency=100)
    return {
        "process_100": drained.rate,
        "server_us_process": drained.server_us,
        "client_us_process": drained.client_us,
        "commands_100": drained.commands,
    }


async def latency(url: str, scale: float) -> Figures:
    """From the dispatch to the first line of the handler, one job at a time, the worker idle in between."""
    arrived: asyncio.Queue[float] = asyncio.Queue()
    worker = Worker(url, defaults=Defaults(concurrency=10), retention=KEEP_ALL)

    @worker.implement(NOOP)
    async def handle(data: dict[str, int]) -> int:
        arrived.put_nowait(time.perf_counter())
        return data["n"]

    async with worker, AsyncProducer(url) as producer:
        task = producer.register(NOOP)
        samples: list[float] = []
        for n in range(int(1000 * scale)):
            started = time.perf_counter()
            await task.dispatch({"n": n})
            samples.append((await arrived.get() - started) * 1000)
            await asyncio.sleep(_LATENCY_PAUSE)
    cuts = quantiles(samples[len(samples) // 10 :], n=100)
    return {
        "latency_p50": cuts[49],
        "latency_p95": cuts[94],
        "latency_p99": cuts[98],
        "rss_mb": resident_bytes() / 1e6,
    }


SCENARIOS: Final[dict[str, Scenario]] = {
    "enqueue": enqueue,
    "enqueue_bulk": enqueue_bulk,
    "process_1": process_1,
    "process_100": process_100,
    "latency": latency,
}
FLEET_SCENARIOS: Final[dict[str, Scenario]] = {fleet.name: partial(measure_fleet, fleet) for fleet in FLEETS}
FLOW_SCENARIOS: Final[dict[str, Scenario]] = {case.name: partial(measure, case) for case in CASES}
_MANY_JOBS: Final = 100_000
_MOST_JOBS: Final = 1_000_000


def _scale(backlogs: tuple[Backlog, ...], jobs: int) -> tuple[dict[str, Scenario], tuple[Row, ...]]:
    scenarios: dict[str, Scenario] = {case.name: partial(measure_backlog, case) for case in backlogs}
    scenarios[f"keeps_{jobs}"] = partial(keeps, jobs)
    return scenarios, (*(row for case in backlogs for row in case.rows()), *memory_rows(jobs))


_SCALE, _SCALE_ROWS = _scale(BACKLOGS, _MANY_JOBS)
SUITES: Final[dict[str, tuple[dict[str, Scenario], tuple[Row, ...]]]] = {
    "main": (SCENARIOS, ROWS),
    "stream": ({"stream": stream}, STREAM_ROWS),
    "workflow": (WORKFLOWS, WORKFLOW_ROWS),
    "scale": (_SCALE | {"idle": idle, "startup": startup}, (*_SCALE_ROWS, *IDLE_ROWS, *STARTUP_ROWS)),
    "scale-large": _scale(LARGE_BACKLOGS, _MOST_JOBS),
    "processes": (FLEET_SCENARIOS, tuple(row for fleet in FLEETS for row in fleet.rows())),
    "flow": (FLOW_SCENARIOS, tuple(row for case in CASES for row in case.rows())),
}
