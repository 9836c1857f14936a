"""RQ: `SimpleWorker`, which does not fork for each job.

https://python-rq.org: `enqueue_many` uses one pipeline. A worker runs one job at a time.
"""

from collections.abc import Sequence
from typing import Any

from taskora.bench.peers.drivers._arrivals import ARRIVALS
from taskora.bench.peers.drivers._protocol import MAIN_THREAD, Driver, peer


class Rq:
    """A `Queue` and a `SimpleWorker`, which handles signals and so needs the main thread."""

    distribution = "rq"
    settings = "`SimpleWorker`; bulk: `enqueue_many`; hiredis"
    most_at_once = 1
    worker_in_main_thread = True
    _queue: Any

    async def connect(self, url: str) -> None:
        self._queue = peer("rq").Queue(connection=peer("redis").Redis.from_url(url))

    async def enqueue(self, number: int) -> None:
        self._queue.enqueue(handle, number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        self._queue.enqueue_many([self._queue.prepare_data(handle, [number]) for number in numbers])

    async def start_worker(self, concurrency: int) -> None:
        worker = peer("rq").SimpleWorker([self._queue], connection=self._queue.connection)
        MAIN_THREAD.put(lambda: worker.work(logging_level="ERROR"))


def handle(number: int) -> int:
    """Found by its name, so it is not private."""
    ARRIVALS.arrive()
    return number


driver: Driver = Rq()
