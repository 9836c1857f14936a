"""dramatiq: eight threads, its default, for a hundred jobs at once: more are slower under one interpreter lock.

https://dramatiq.io: the `Results` middleware; idle workers poll with a growing pause, bounded here by 5 ms.
"""

from collections.abc import Sequence
from typing import Any

from taskora.bench.peers.drivers._arrivals import ARRIVALS
from taskora.bench.peers.drivers._protocol import Driver, NotOfferedError, peer


class Dramatiq:
    """A `RedisBroker` and a `Worker` with threads."""

    distribution = "dramatiq"
    settings = "`worker_threads=8` for c=100, `worker_timeout=5`, `Results`; no bulk; hiredis"
    most_at_once = 8
    worker_in_main_thread = False
    _broker: Any
    _actor: Any

    async def connect(self, url: str) -> None:
        results = peer("dramatiq.results")
        backend = peer("dramatiq.results.backends.redis").RedisBackend(url=url)
        self._broker = peer("dramatiq.brokers.redis").RedisBroker(url=url)
        self._broker.add_middleware(results.Results(backend=backend))
        self._actor = peer("dramatiq").actor(_handle, actor_name="noop", broker=self._broker, store_results=True)

    async def enqueue(self, number: int) -> None:
        self._actor.send(number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        raise NotOfferedError("a group of messages is sent one by one")

    async def start_worker(self, concurrency: int) -> None:
        peer("dramatiq").Worker(self._broker, worker_threads=concurrency, worker_timeout=5).start()


def _handle(number: int) -> int:
    ARRIVALS.arrive()
    return number


driver: Driver = Dramatiq()
