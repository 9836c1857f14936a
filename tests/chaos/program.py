"""A worker in a process of its own, for tests that end it badly: `python -m tests.chaos.program URL MILLISECONDS`."""

import asyncio
import logging
import os
import sys

from taskora.contracts import Stall, define_task
from taskora.worker import Context, Defaults, Worker

LEASE = "1s"
SWEEPS = Stall(interval="300ms", max_count=100)

work = define_task("work", input=int, output=dict[str, int], stall=SWEEPS)

sum_up = define_task("sum-up", input=list[dict[str, int]], output=int, stall=SWEEPS)


def make_worker(url: str, pause_s: float) -> Worker:
    """A worker that says in its results which process made them."""
    worker = Worker(url, lease=LEASE, defaults=Defaults(concurrency=5, timeout="30s"))

    @worker.implement(work)
    async def handle(data: int, ctx: Context) -> dict[str, int]:
        ctx.progress({"pid": os.getpid()})
        await asyncio.sleep(pause_s)
        return {"number": data, "pid": os.getpid()}

    @worker.implement(sum_up)
    async def handle_sum(data: list[dict[str, int]]) -> int:
        return sum(item["number"] for item in data)

    return worker


if __name__ == "__main__":
    logging.basicConfig(level="WARNING")
    make_worker(sys.argv[1], float(sys.argv[2]) / 1000).run(grace="200ms")
