"""arq: polls, every 5 ms here instead of every 500.

https://arq-docs.helpmanual.io: `poll_delay`, `max_jobs`.
"""

from collections.abc import Sequence
from typing import Any

from taskora.bench.peers.drivers._arrivals import ARRIVALS
from taskora.bench.peers.drivers._protocol import AsyncioDriver, Driver, peer, together


class Arq(AsyncioDriver):
    """A pool and a `Worker` with a connection of its own."""

    distribution = "arq"
    settings = "`poll_delay=0.005`; bulk: 50 calls at once; hiredis, uvloop"
    _pool: Any
    _redis_settings: Any

    async def connect(self, url: str) -> None:
        connections = peer("arq.connections")
        self._redis_settings = connections.RedisSettings.from_dsn(url)
        self._pool = await connections.create_pool(self._redis_settings)

    async def enqueue(self, number: int) -> None:
        await self._pool.enqueue_job("noop", number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        await together([self._pool.enqueue_job("noop", number) for number in numbers])

    async def start_worker(self, concurrency: int) -> None:
        module = peer("arq.worker")
        worker = module.Worker(
            [module.func(_handle, name="noop")],
            redis_settings=self._redis_settings,
            max_jobs=concurrency,
            poll_delay=0.005,
            handle_signals=False,
        )
        self.keep_running(worker.async_run())


async def _handle(_context: object, number: int) -> int:
    ARRIVALS.arrive()
    return number


driver: Driver = Arq()
