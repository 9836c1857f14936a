"""taskiq with taskiq-redis: the stream broker, which acknowledges, and a result backend.

https://taskiq-python.github.io: `ListQueueBroker` is faster and loses jobs of a worker that dies.
"""

from collections.abc import Sequence
from typing import Any

from taskora.bench.peers.drivers._arrivals import ARRIVALS
from taskora.bench.peers.drivers._protocol import AsyncioDriver, Driver, peer, together


class Taskiq(AsyncioDriver):
    """A broker for both sides, and a receiver."""

    distribution = "taskiq-redis"
    settings = "`RedisStreamBroker`, `max_prefetch=100`; bulk: 50 calls at once; hiredis, uvloop"
    _broker: Any
    _task: Any

    async def connect(self, url: str) -> None:
        module = peer("taskiq_redis")
        self._broker = module.RedisStreamBroker(url).with_result_backend(module.RedisAsyncResultBackend(url))
        self._task = self._broker.register_task(_handle, task_name="noop")
        await self._broker.startup()

    async def enqueue(self, number: int) -> None:
        await self._task.kiq(number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        await together([self._task.kiq(number) for number in numbers])

    async def start_worker(self, concurrency: int) -> None:
        run = peer("taskiq.api").run_receiver_task
        self.keep_running(run(self._broker, max_async_tasks=concurrency, max_prefetch=100))


async def _handle(number: int) -> int:
    ARRIVALS.arrive()
    return number


driver: Driver = Taskiq()
