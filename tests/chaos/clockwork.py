"""A worker that takes part in running schedules, in a process of its own: `python -m tests.chaos.clockwork URL`."""

import asyncio
import logging
import os
import sys

from taskora.contracts import Stall, define_task
from taskora.wire.backends import open_backend
from taskora.worker import Keep, Retention, SchedulerConfig, Worker

LOCK_TTL = "1s"

beat = define_task("beat", input=str, stall=Stall(interval="300ms", max_count=100))


async def main(url: str) -> None:
    """Works until it is killed; writes down which scheduler token is that of which process."""
    backend = open_backend(url)
    worker = Worker(
        backend,
        lease="1s",
        scheduler=SchedulerConfig(poll_interval="50ms", lock_ttl=LOCK_TTL),
        retention=Retention(completed=Keep(max_items=0)),
    )

    @worker.implement(beat, concurrency=10)
    async def handle(data: str) -> None: ...

    await worker.start()
    assert worker._runtime is not None
    assert worker._runtime._scheduler is not None
    print(f"scheduler {worker._runtime._scheduler._token} is {os.getpid()}", flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    logging.basicConfig(level="WARNING")
    asyncio.run(main(sys.argv[1]))
