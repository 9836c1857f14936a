"""A worker whose steps spawn others: `python -m tests.chaos.spawning_program URL MILLISECONDS`.

It pauses before and after it writes what they have spawned, so that whoever kills it is likely to hit that moment.
"""

import asyncio
import logging
import os
import sys
from dataclasses import dataclass
from typing import TypeVar

from packages.worker.tests.workbench import Meddler
from taskora.contracts import define_task, group
from taskora.wire import Operation, ReviseWorkflow
from taskora.wire.backends import open_backend
from taskora.worker import Context, Defaults, Worker
from tests.chaos.program import LEASE, SWEEPS

R = TypeVar("R")
LEAVES = 3

spread = define_task("spread", input=int, output=int, stall=SWEEPS)
leaf = define_task("leaf", input=int, output=int, stall=SWEEPS)


@dataclass
class SlowPlans(Meddler):
    """A storage that takes long over plans."""

    pause_s: float = 0.0

    async def run(self, operation: Operation[R]) -> R:
        is_plan = isinstance(operation, ReviseWorkflow)
        await asyncio.sleep(self.pause_s if is_plan else 0)
        reply = await super().run(operation)
        await asyncio.sleep(self.pause_s if is_plan else 0)
        return reply


def make_worker(url: str, pause_s: float) -> Worker:
    """A worker whose handlers are quick, and whose plans are slow."""
    backend = SlowPlans(open_backend(url), pause_s=pause_s)
    worker = Worker(backend, lease=LEASE, defaults=Defaults(concurrency=5, timeout="30s"))

    @worker.implement(spread)
    async def handle(data: int, ctx: Context) -> int:
        ctx.progress({"pid": os.getpid()})
        ctx.spawn(group([leaf.s(10 * data + number) for number in range(LEAVES)]))
        return data

    @worker.implement(leaf)
    async def handle_leaf(data: int) -> int:
        return data

    return worker


if __name__ == "__main__":
    logging.basicConfig(level="WARNING")
    make_worker(sys.argv[1], float(sys.argv[2]) / 1000).run(grace="200ms")
