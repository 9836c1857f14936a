"""SAQ: the defaults; more than twenty operations at once, `max_concurrent_ops`, were not faster here.

https://saq-py.readthedocs.io
"""

from collections.abc import Sequence
from typing import Any

from taskora.bench.peers.drivers._arrivals import ARRIVALS
from taskora.bench.peers.drivers._protocol import AsyncioDriver, Driver, peer, together


class Saq(AsyncioDriver):
    """A `Queue` and a `Worker`."""

    distribution = "saq"
    settings = "defaults; bulk: 50 calls at once; hiredis, uvloop"
    _queue: Any

    async def connect(self, url: str) -> None:
        self._queue = peer("saq").Queue.from_url(url)
        await self._queue.connect()

    async def enqueue(self, number: int) -> None:
        await self._queue.enqueue("noop", n=number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        await together([self._queue.enqueue("noop", n=number) for number in numbers])

    async def start_worker(self, concurrency: int) -> None:
        worker = peer("saq").Worker(self._queue, [("noop", _handle)], concurrency=concurrency)
        self.keep_running(worker.start())


async def _handle(_context: object, *, n: int) -> int:
    ARRIVALS.arrive()
    return n


driver: Driver = Saq()
