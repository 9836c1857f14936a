"""How fast a program dispatches more items than it holds, and what it keeps of them."""

import time
from collections.abc import Iterator
from typing import Final

from taskora.bench._drain import NOOP
from taskora.bench._rows import Row
from taskora.bench.peers.drivers._probe import resident_bytes
from taskora.producer import AsyncBoundTask, AsyncProducer

_ITEMS: Final = 100_000
# Until then buffers grow to the size that they keep.
_WARM: Final = 10_000

STREAM_ROWS: Final = (
    Row(name="stream", title="enqueue by dispatch_stream", unit="ops/s"),
    Row(name="stream_rss_growth", title="  most memory more than at the start", unit="bytes"),
)


async def stream(url: str, scale: float) -> dict[str, float]:
    """Items of a generator, whose handles nobody keeps."""
    async with AsyncProducer(url) as producer:
        task: AsyncBoundTask[dict[str, int], int] = producer.register(NOOP)
        await _dispatch(task, _WARM)
        before, count = resident_bytes(), int(_ITEMS * scale)
        started = time.perf_counter()
        highest = await _dispatch(task, count)
        return {"stream": count / (time.perf_counter() - started), "stream_rss_growth": highest - before}


async def _dispatch(task: AsyncBoundTask[dict[str, int], int], count: int) -> float:
    """Dispatches so many items; the most memory that the process had in between, in bytes."""
    return max([resident_bytes() async for _ in task.dispatch_stream(_items(count))])


def _items(count: int) -> Iterator[dict[str, int]]:
    return ({"n": n} for n in range(count))
