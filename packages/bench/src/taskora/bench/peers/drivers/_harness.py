"""The scenarios, the same for every driver. Each has a server that holds nothing, and is bounded in time."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from statistics import quantiles
from time import perf_counter
from typing import Any, Final, TypeAlias

from taskora.bench.peers.drivers._arrivals import ARRIVALS
from taskora.bench.peers.drivers._probe import Probe, Sample, resident_bytes
from taskora.bench.peers.drivers._protocol import Driver, NotOfferedError, peer

Figures: TypeAlias = dict[str, float]

_BULK: Final = 50
_BACKLOG: Final = 40_000
_LATENCY_CONCURRENCY: Final = 10
# Not a constant, so that no library's rhythm of polling is met again and again at the same point.
_PAUSE_SECONDS: Final = (0.001, 0.02)
# With those pauses, eighty jobs fit into a second: of so few, the slowest in a hundred is one that met with bad luck.
_LATENCY_STRETCH: Final = 5
_START_SECONDS: Final = 15.0


def measure(driver: Driver, scenario: str, url: str, seconds: float) -> Figures:
    """Runs one scenario, on uvloop where it is installed.

    Raises:
        NotOfferedError: the library cannot do this.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(SCENARIOS[scenario](driver, url, seconds))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        uvloop: Any = peer("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def enqueue(driver: Driver, url: str, seconds: float) -> Figures:
    """One dispatch after the other, each awaited; what that costs both sides, and what is kept.

    Memory is measured here, where one connection is enough: each costs the server as much as dozens of jobs.
    """
    await driver.connect(url)
    await _enqueue_for(driver, seconds / 10)
    with Probe(url) as probe:
        before = probe.sample(0)
        spent = probe.sample(await _enqueue_for(driver, seconds)) - before
    return {
        "enqueue": spent.count / spent.seconds,
        "server_us_enqueue": spent.server_us / spent.count,
        "client_us_enqueue": spent.client_us / spent.count,
        "bytes_per_job": spent.memory_bytes / spent.count,
    }


async def enqueue_bulk(driver: Driver, url: str, seconds: float) -> Figures:
    """Batches of fifty, each awaited."""
    await driver.connect(url)
    await _enqueue_bulk_for(driver, seconds / 10)
    with Probe(url) as probe:
        before = probe.sample(0)
        spent = probe.sample(await _enqueue_bulk_for(driver, seconds)) - before
    return {"enqueue_bulk": spent.count / spent.seconds, "server_us_bulk": spent.server_us / spent.count}


async def process_1(driver: Driver, url: str, seconds: float) -> Figures:
    """A backlog, one job at a time."""
    spent = await _drain(driver, url, seconds, concurrency=1)
    return {"process_1": spent.count / spent.seconds}


async def process_100(driver: Driver, url: str, seconds: float) -> Figures:
    """A backlog, up to a hundred jobs at a time, and what that costs both sides."""
    if driver.most_at_once == 1:
        raise NotOfferedError("a worker runs one job at a time")
    spent = await _drain(driver, url, seconds, concurrency=min(100, driver.most_at_once))
    return {
        "process_100": spent.count / spent.seconds,
        "server_us_process": spent.server_us / spent.count,
        "client_us_process": spent.client_us / spent.count,
    }


async def latency(driver: Driver, url: str, seconds: float) -> Figures:
    """From the dispatch to the first line of the handler, one job at a time, the worker idle in between.

    Takes longer than other scenarios.
    """
    await driver.connect(url)
    await driver.start_worker(min(_LATENCY_CONCURRENCY, driver.most_at_once))
    pauses = random.Random(1)
    await _latencies(driver, seconds / 10, pauses)
    samples = await _latencies(driver, seconds * _LATENCY_STRETCH, pauses)
    cuts = quantiles(samples, n=100, method="inclusive")
    return {
        "latency_p50": cuts[49],
        "latency_p95": cuts[94],
        "latency_p99": cuts[98],
        "rss_mb": resident_bytes() / 1e6,
    }


SCENARIOS: Final[dict[str, Callable[[Driver, str, float], Coroutine[None, None, Figures]]]] = {
    "enqueue": enqueue,
    "enqueue_bulk": enqueue_bulk,
    "process_1": process_1,
    "process_100": process_100,
    "latency": latency,
}


async def _enqueue_for(driver: Driver, seconds: float, *, least: int = 1, most: float = float("inf")) -> int:
    deadline = perf_counter() + seconds
    count = 0
    while count < least or (count < most and perf_counter() < deadline):
        await driver.enqueue(count)
        count += 1
    return count


async def _enqueue_bulk_for(driver: Driver, seconds: float, *, least: int = 1, most: float = float("inf")) -> int:
    deadline = perf_counter() + seconds
    count = 0
    while count < least or (count < most and perf_counter() < deadline):
        await driver.enqueue_bulk(range(count, count + _BULK))
        count += _BULK
    return count


async def _drain(driver: Driver, url: str, seconds: float, *, concurrency: int) -> Sample:
    """What running a part of a backlog took. How long a worker takes to start is left out."""
    await driver.connect(url)
    warm_up = 10 + 2 * concurrency
    # The first dispatch of some libraries takes as long as a thousand others.
    await driver.enqueue(0)
    filled = 1 + await _fill(driver, seconds, least=3 * warm_up)
    await driver.start_worker(concurrency)
    if not await ARRIVALS.reach(warm_up, _START_SECONDS):
        raise TimeoutError(f"{ARRIVALS.count} of {filled} jobs ran within {_START_SECONDS:g} seconds")
    with Probe(url) as probe:
        before = probe.sample(ARRIVALS.count)
        await ARRIVALS.reach(filled, seconds)
        spent = probe.sample(ARRIVALS.count) - before
    if not spent.count:
        raise TimeoutError(f"no job ran within {seconds:g} seconds after the first {before.count} of {filled}")
    return spent


async def _fill(driver: Driver, seconds: float, *, least: int) -> int:
    try:
        return await _enqueue_bulk_for(driver, seconds, least=least, most=_BACKLOG)
    except NotOfferedError:
        return await _enqueue_for(driver, seconds, least=least, most=_BACKLOG)


async def _latencies(driver: Driver, seconds: float, pauses: random.Random) -> list[float]:
    """Milliseconds of some jobs, two at least."""
    deadline = perf_counter() + seconds
    samples: list[float] = []
    while len(samples) < 2 or perf_counter() < deadline:
        expected = ARRIVALS.count + 1
        started = perf_counter()
        await driver.enqueue(expected)
        if not await ARRIVALS.reach(expected, _START_SECONDS):
            raise TimeoutError(f"a job did not start within {_START_SECONDS:g} seconds")
        samples.append((ARRIVALS.latest - started) * 1000)
        await asyncio.sleep(pauses.uniform(*_PAUSE_SECONDS))
    return samples
