"""streaq: streams and coredis; a producer and a worker are two `Worker` objects with one queue.

https://streaq.readthedocs.io: `concurrency`, `prefetch`, `enqueue_many`.
"""

from collections.abc import Sequence
from typing import Any

from taskora.bench.peers.drivers._arrivals import ARRIVALS
from taskora.bench.peers.drivers._protocol import AsyncioDriver, Driver, peer


class Streaq(AsyncioDriver):
    """Two `Worker` objects."""

    distribution = "streaq"
    settings = "defaults; bulk: `enqueue_many`; coredis, uvloop"
    _url: str
    _producer: Any
    _task: Any

    async def connect(self, url: str) -> None:
        self._url = url
        self._producer = peer("streaq").Worker(redis_url=url, handle_signals=False)
        self._task = self._producer.task(_handle, name="noop")
        await self._producer.__aenter__()

    async def enqueue(self, number: int) -> None:
        await self._task.enqueue(number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        await self._producer.enqueue_many([self._task.enqueue(number) for number in numbers])

    async def start_worker(self, concurrency: int) -> None:
        worker = peer("streaq").Worker(redis_url=self._url, concurrency=concurrency, handle_signals=False)
        worker.task(_handle, name="noop")
        self.keep_running(worker.run_async())


async def _handle(number: int) -> int:
    ARRIVALS.arrive()
    return number


driver: Driver = Streaq()
