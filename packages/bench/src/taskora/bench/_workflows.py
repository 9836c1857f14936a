"""What workflows cost: wide ones, long ones, and steps as against plain jobs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from taskora.bench._rows import Row
from taskora.bench._server import ServerProbe
from taskora.contracts import Signature, chain, chord, define_task
from taskora.producer import AsyncProducer
from taskora.worker import Defaults, Worker

Figures: TypeAlias = dict[str, float]

_step = define_task("step", input=int, output=int)
_total = define_task("total", input=list[int], output=int)
_WIDE: Final = 1000
_LONG: Final = 100
_CONCURRENCY: Final = 100

WORKFLOW_ROWS: Final = (
    Row(name="workflow_wide_ms", title=f"a chord of {_WIDE:,} steps, from dispatch to result", unit="ms"),
    Row(name="workflow_wide_steps", title="steps of it", unit="ops/s"),
    Row(name="workflow_wide_us", title="server time per step of it", unit="us"),
    Row(name="workflow_long_ms", title=f"a chain of {_LONG}, from dispatch to result", unit="ms"),
    Row(name="workflow_long_us", title="server time per step of it", unit="us"),
    Row(name="workflow_small", title="chains of three at once, workflows", unit="ops/s"),
)


async def wide(url: str, scale: float) -> Figures:
    """One chord after the other."""
    signature = chord([_step.s(number) for number in range(_WIDE)], _total.s())
    seconds, server_us = await _measure(url, signature, repeats=max(1, round(5 * scale)))
    return {
        "workflow_wide_ms": seconds * 1000,
        "workflow_wide_steps": (_WIDE + 1) / seconds,
        "workflow_wide_us": server_us / (_WIDE + 1),
    }


async def long(url: str, scale: float) -> Figures:
    """One chain after the other."""
    signature = chain(_step.s(0), *(_step.s() for _ in range(_LONG - 1)))
    seconds, server_us = await _measure(url, signature, repeats=max(1, round(10 * scale)))
    return {"workflow_long_ms": seconds * 1000, "workflow_long_us": server_us / _LONG}


async def small(url: str, scale: float) -> Figures:
    """Many short workflows side by side."""
    count = max(1, round(1000 * scale))
    async with _worker(url), AsyncProducer(url) as producer:
        await (await producer.dispatch(_step.s(0))).result("30s")
        started = time.perf_counter()
        flows = await asyncio.gather(*(producer.dispatch(_step.s(n) | _step.s() | _step.s()) for n in range(count)))
        await asyncio.gather(*(flow.result("60s") for flow in flows))
        return {"workflow_small": count / (time.perf_counter() - started)}


async def _measure(url: str, signature: Signature[object, int], *, repeats: int) -> tuple[float, float]:
    """Seconds, and microseconds of the server's scripts, for one workflow."""
    probe = ServerProbe(url)
    async with _worker(url), AsyncProducer(url) as producer:
        await (await producer.dispatch(_step.s(0))).result("30s")
        before = probe.sample()
        started = time.perf_counter()
        for _ in range(repeats):
            await (await producer.dispatch(signature)).result("60s")
        seconds = time.perf_counter() - started
        spent = probe.sample() - before
    return seconds / repeats, spent.script_us / repeats


def _worker(url: str) -> Worker:
    worker = Worker(url, defaults=Defaults(concurrency=_CONCURRENCY))

    @worker.implement(_step)
    async def step(data: int) -> int:
        return data

    @worker.implement(_total)
    async def total(data: list[int]) -> int:
        return sum(data)

    return worker


WORKFLOWS: Final[dict[str, Callable[[str, float], Awaitable[Figures]]]] = {
    "workflow_wide": wide,
    "workflow_long": long,
    "workflow_small": small,
}
