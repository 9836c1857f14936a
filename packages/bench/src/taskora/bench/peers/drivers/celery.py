"""Celery: the threads pool, a large prefetch as its guide advises for short tasks, no gossip between workers.

https://docs.celeryq.dev/en/stable/userguide/optimizing.html. Processes would be compared with one process of others.
"""

import threading
from collections.abc import Sequence
from typing import Any

from taskora.bench.peers.drivers._arrivals import ARRIVALS
from taskora.bench.peers.drivers._protocol import Driver, NotOfferedError, peer


class Celery:
    """An application with Redis as broker and result backend, and a worker in a thread."""

    distribution = "celery"
    settings = (
        "`--pool threads`, `worker_prefetch_multiplier=64`, no gossip, mingle, heartbeat, events; no bulk; hiredis"
    )
    most_at_once = 100
    worker_in_main_thread = False
    _app: Any
    _task: Any

    async def connect(self, url: str) -> None:
        self._app = peer("celery").Celery("bench", broker=url, backend=url)
        # Otherwise threads of the pool have another application, without a result backend.
        self._app.set_default()
        self._app.conf.update(
            worker_prefetch_multiplier=64,
            worker_disable_rate_limits=True,
            worker_enable_remote_control=False,
            broker_connection_retry_on_startup=True,
        )
        self._task = self._app.task(_handle, name="noop")
        self._app.finalize()

    async def enqueue(self, number: int) -> None:
        self._task.delay(number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        raise NotOfferedError("a group of tasks is sent one by one")

    async def start_worker(self, concurrency: int) -> None:
        worker = self._app.WorkController(
            pool="threads",
            concurrency=concurrency,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        threading.Thread(target=worker.start, daemon=True).start()


def _handle(number: int) -> int:
    ARRIVALS.arrive()
    return number


driver: Driver = Celery()
