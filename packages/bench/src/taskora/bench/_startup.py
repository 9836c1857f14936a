"""How long programs take to begin: each is a fresh interpreter, from its start to its end."""

import asyncio
import os
import sys
import time
from statistics import median
from typing import Final

from taskora.bench._rows import Row

_RUNS: Final = 9
_CONTRACT: Final = 'from taskora.contracts import define_task\nstarts = define_task("starts", input=int, output=int)\n'
_CONNECT: Final = """
import sys
from taskora.producer import Producer
with Producer(sys.argv[1]) as producer:
    producer.inspector.find("starts", "none")
"""
_CONNECT_ASYNC: Final = """
import asyncio, sys
from taskora.producer import AsyncProducer
async def main():
    async with AsyncProducer(sys.argv[1]) as producer:
        await producer.inspector.find("starts", "none")
asyncio.run(main())
"""
_DISPATCH: Final = f"""
import sys
{_CONTRACT}
from taskora.producer import Producer
with Producer(sys.argv[1]) as producer:
    producer.register(starts).dispatch(1)
"""
_DISPATCH_ASYNC: Final = f"""
import asyncio, sys
{_CONTRACT}
from taskora.producer import AsyncProducer
async def main():
    async with AsyncProducer(sys.argv[1]) as producer:
        await producer.register(starts).dispatch(1)
asyncio.run(main())
"""
_WORK: Final = f"""
import asyncio, sys
{_CONTRACT}
from taskora.worker import Worker
async def main():
    worker = Worker(sys.argv[1])
    async def handle(data: int) -> int:
        return data
    task = worker.implement(starts, handle)
    async with worker:
        await (await task.dispatch(1)).result("30s")
asyncio.run(main())
"""
# Name, what the program does, and the program.
_PROGRAMS: Final = (
    ("bare", "a Python program that does nothing", "pass"),
    ("typing", "it imports typing", "import typing"),
    ("asyncio", "it imports asyncio", "import asyncio"),
    ("pydantic", "it imports what validates payloads", "from pydantic import TypeAdapter"),
    ("contracts", "it imports taskora.contracts", "import taskora.contracts"),
    ("contract", "it declares a contract", _CONTRACT),
    ("import_producer", "it imports Producer", "from taskora.producer import Producer"),
    ("import_async_producer", "it imports AsyncProducer", "from taskora.producer import AsyncProducer"),
    ("import_worker", "it imports Worker", "from taskora.worker import Worker"),
    ("connect", "it connects a Producer, looks for a job and closes", _CONNECT),
    ("connect_async", "it connects an AsyncProducer, looks for a job and closes", _CONNECT_ASYNC),
    ("producer", "it connects, dispatches a job and closes", _DISPATCH),
    ("async_producer", "the same with an AsyncProducer", _DISPATCH_ASYNC),
    ("worker", "it starts a worker, runs a job and closes", _WORK),
)
STARTUP_ROWS: Final = tuple(Row(name=f"start_{name}", title=title, unit="ms") for name, title, _ in _PROGRAMS)


async def startup(url: str, _scale: float) -> dict[str, float]:
    """Runs each program some times, in turns, so that all of them share what else the machine does."""
    seconds: dict[str, list[float]] = {name: [] for name, _, _ in _PROGRAMS}
    for _ in range(_RUNS + 1):
        for name, _, program in _PROGRAMS:
            seconds[name].append(await _run(program, url))
    return {f"start_{name}": median(found[1:]) * 1000 for name, found in seconds.items()}  # the first fills caches


async def _run(program: str, url: str) -> float:
    # Where bytecode must not be written, every run would compile what an installed program has compiled.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, url, env=variables)
    if await child.wait():
        raise RuntimeError(f"a program failed that was measured:\n{program}")
    return time.perf_counter() - started
