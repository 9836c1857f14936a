"""How many jobs a lane asks for in one round trip."""

import asyncio
from typing import Any

import pytest

from packages.worker.tests.workbench import Meddler, double
from taskora.producer import AsyncProducer
from taskora.wire import Exchange, Operation
from taskora.wire.backends import open_backend
from taskora.worker import Worker
from tests.polling import aeventually


@pytest.mark.parametrize(
    ("concurrency", "expected"),
    [(1, [1]), (10, [10]), (16, [8, 8]), (101, [50, 50, 1]), (1200, [500, 500, 200])],
)
async def test_a_lane_with_many_slots_fetches_them_in_parts_and_at_once(
    memory: str, concurrency: int, expected: list[int]
) -> None:
    asked: list[tuple[int, int]] = []
    full = asyncio.Event()

    def note(operation: Operation[Any]) -> None:
        if isinstance(operation, Exchange) and operation.slots and not full.is_set():
            asked.append((operation.slots, backend.calls["wait_for_work"]))

    backend = Meddler(open_backend(memory), before=note)
    worker = Worker(backend)
    running = 0

    @worker.implement(double, concurrency=concurrency)
    async def handle(data: int) -> int:
        nonlocal running
        running += 1
        await full.wait()
        return data

    async with AsyncProducer(memory) as producer:
        await producer.register(double).dispatch_many(range(concurrency + 1))
        async with worker:
            await aeventually(lambda: running == concurrency)
            full.set()
    assert asked == [(size, 0) for size in expected]
    await backend.close()
