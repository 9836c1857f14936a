"""How long programs take to begin: each is a fresh interpreter, from its start to its end."""

import asyncio
import sys
import time
from statistics import median
from typing import Final

from taskora.bench._rows import Row

_RUNS: Final = 5
_BARE: Final = "pass"
_FOUNDATION: Final = "import typing, enum, re, datetime"
_CONTRACTS: Final = "import taskora.contracts"
_DEPENDENCIES: Final = "import pydantic, redis.asyncio, hiredis"
_PRODUCER: Final = """
import sys
from taskora.contracts import define_task
from taskora.producer import Producer
with Producer(sys.argv[1]) as producer:
    producer.register(define_task("starts", input=int, output=int)).dispatch(1)
"""
_WORKER: Final = """
import asyncio, sys
from taskora.contracts import define_task
from taskora.worker import Worker
async def main():
    worker = Worker(sys.argv[1])
    async def handle(data: int) -> int:
        return data
    task = worker.implement(define_task("starts", input=int, output=int), handle)
    async with worker:
        await (await task.dispatch(1)).result("30s")
asyncio.run(main())
"""
_PROGRAMS: Final = {
    "start_bare": _BARE,
    "start_foundation": _FOUNDATION,
    "start_contracts": _CONTRACTS,
    "start_dependencies": _DEPENDENCIES,
    "start_producer": _PRODUCER,
    "start_worker": _WORKER,
}
STARTUP_ROWS: Final = (
    Row(name="start_bare", title="a Python program that does nothing", unit="ms"),
    Row(name="start_foundation", title="it imports what contracts are made of", unit="ms"),
    Row(name="start_contracts", title="it imports taskora.contracts", unit="ms"),
    Row(name="start_dependencies", title="it imports redis-py, hiredis and pydantic", unit="ms"),
    Row(name="start_producer", title="it dispatches a job", unit="ms"),
    Row(name="start_worker", title="it starts a worker, runs a job and closes", unit="ms"),
)


async def startup(url: str, _scale: float) -> dict[str, float]:
    """Runs each program some times, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in _PROGRAMS}
    for _ in range(_RUNS + 1):
        for name, program in _PROGRAMS.items():
            seconds[name].append(await _run(program, url))
    return {name: median(found[1:]) * 1000 for name, found in seconds.items()}  # the first run fills caches


async def _run(program: str, url: str) -> float:
    started = time.perf_counter()
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, url)
    if await child.wait():
        raise RuntimeError(f"a program failed that was measured:\n{program}")
    return time.perf_counter() - started
