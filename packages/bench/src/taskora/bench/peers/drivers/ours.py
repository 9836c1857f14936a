"""taskora: the defaults, over TCP like everyone else."""

from collections.abc import Sequence

from taskora.bench.peers.drivers._arrivals import ARRIVALS
from taskora.bench.peers.drivers._protocol import AsyncioDriver, Driver
from taskora.contracts import define_task
from taskora.producer import AsyncBoundTask, AsyncProducer
from taskora.worker import Keep, Retention, Worker

_NOOP = define_task("noop", input=dict[str, int], output=int)
# No other library deletes results by their number while it is measured.
_KEEP_ALL = Retention(completed=Keep(), failed=Keep(), cancelled=Keep(), expired=Keep())


class Ours(AsyncioDriver):
    """An `AsyncProducer` and a `Worker`."""

    distribution = "taskora-worker"
    settings = "defaults, retention off; bulk: `dispatch_many`; uvloop"
    _url: str
    _task: AsyncBoundTask[dict[str, int], int]

    async def connect(self, url: str) -> None:
        self._url = url
        self._task = (await AsyncProducer(url).__aenter__()).register(_NOOP)

    async def enqueue(self, number: int) -> None:
        await self._task.dispatch({"n": number})

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        await self._task.dispatch_many([{"n": number} for number in numbers])

    async def start_worker(self, concurrency: int) -> None:
        worker = Worker(self._url, retention=_KEEP_ALL)
        worker.implement(_NOOP, concurrency=concurrency)(_handle)
        await worker.__aenter__()


async def _handle(data: dict[str, int]) -> int:
    ARRIVALS.arrive()
    return data["n"]


driver: Driver = Ours()
