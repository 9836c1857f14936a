"""docket: streams; results are stored because the task returns something.

A worker with no free slot looks for one every `minimum_check_interval`, 250 ms by default. A hundred jobs at once need
more connections than the pool of its client allows by default.

https://chrisguidry.github.io/docket: `concurrency`, `add_many`.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from taskora.bench.peers.drivers._arrivals import ARRIVALS
from taskora.bench.peers.drivers._protocol import AsyncioDriver, Driver, peer


class Docket(AsyncioDriver):
    """A `Docket` and a `Worker`."""

    distribution = "pydocket"
    settings = "`minimum_check_interval=5ms`, `?max_connections=250`; bulk: `add_many`; hiredis, uvloop"
    _docket: Any

    async def connect(self, url: str) -> None:
        self._docket = peer("docket").Docket(name="bench", url=f"{url}?max_connections=250")
        await self._docket.__aenter__()
        self._docket.register(_handle)

    async def enqueue(self, number: int) -> None:
        await self._docket.add(_handle)(number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        await self._docket.add_many([self._docket.call(_handle)(number) for number in numbers])

    async def start_worker(self, concurrency: int) -> None:
        interval = timedelta(milliseconds=5)
        worker = peer("docket").Worker(self._docket, concurrency=concurrency, minimum_check_interval=interval)
        await worker.__aenter__()
        self.keep_running(worker.run_forever())


async def _handle(number: int) -> int:
    ARRIVALS.arrive()
    return number


driver: Driver = Docket()
