"""BullMQ for Python: the port of the Node library, on the same data.

https://docs.bullmq.io/python: `addBulk`, `concurrency`.
"""

from collections.abc import Sequence
from typing import Any

from taskora.bench.peers.drivers._arrivals import ARRIVALS
from taskora.bench.peers.drivers._protocol import AsyncioDriver, Driver, peer


class Bullmq(AsyncioDriver):
    """A `Queue` and a `Worker`."""

    distribution = "bullmq"
    settings = "defaults; bulk: `addBulk`; hiredis, uvloop"
    _url: str
    _queue: Any
    _worker: Any

    async def connect(self, url: str) -> None:
        self._url = url
        self._queue = peer("bullmq").Queue("bench", {"connection": url})

    async def enqueue(self, number: int) -> None:
        await self._queue.add("noop", {"n": number}, {})

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        await self._queue.addBulk([{"name": "noop", "data": {"n": number}} for number in numbers])

    async def start_worker(self, concurrency: int) -> None:
        options = {"connection": self._url, "concurrency": concurrency}
        self._worker = peer("bullmq").Worker("bench", _handle, options)


async def _handle(job: Any, _token: str) -> int:
    ARRIVALS.arrive()
    number: int = job.data["n"]
    return number


driver: Driver = Bullmq()
