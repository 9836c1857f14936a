"""How many jobs a lane asks for in one round trip."""

import asyncio
from typing import Any

import pytest

from packages.worker.tests.workbench import Meddler, double
from taskora.contracts import define_task
from taskora.producer import AsyncProducer
from taskora.wire import Exchange, Operation
from taskora.wire.backends import open_backend
from taskora.worker import Context, Worker
from taskora.worker._claim_sizes import LARGEST_CLAIM, MOST_BYTES, ClaimSizes
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


def sizes_after(concurrency: int, *replies: tuple[int, int]) -> int:
    """How many jobs are asked for after replies with so many claims, and bytes of payloads."""
    sizes = ClaimSizes(concurrency)
    for claims, size in replies:
        sizes.note(claims, size)
    return sizes.most


MEGABYTE = 1_048_576


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ([], LARGEST_CLAIM),
        ([(1, 0)], LARGEST_CLAIM),
        ([(500, 500 * 100)], LARGEST_CLAIM),
        ([(500, 500 * MEGABYTE)], 8),
        ([(1, MEGABYTE)], 8),
        ([(3, 9 * MOST_BYTES)], 1),
        ([(500, 500 * MEGABYTE), (8, 800)], 32),
        ([(500, 500 * MEGABYTE), (8, 800), (32, 3200)], 128),
        ([(500, 500 * MEGABYTE), (8, 800), (32, 3200), (128, 12800)], LARGEST_CLAIM),
        ([(500, 50_000), (500, 500 * MEGABYTE)], 8),
    ],
)
def test_a_reply_is_not_expected_to_be_larger_than_some_megabytes(
    replies: list[tuple[int, int]], expected: int
) -> None:
    assert sizes_after(10_000, *replies) == expected


@pytest.mark.parametrize("concurrency", [1, 2, 15, 16, 17, 100, 999, 5000])
def test_two_claims_fit_into_the_slots_of_a_lane_that_has_two(concurrency: int) -> None:
    sizes = ClaimSizes(concurrency)
    assert 1 <= sizes.most * sizes.parts <= concurrency
    assert 1 <= sizes.worthwhile <= sizes.most


async def test_jobs_with_large_payloads_are_claimed_a_few_at_a_time(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskora.worker._claim_sizes.MOST_BYTES", 4_100)
    replies: list[int] = []

    class Measuring(Meddler):
        async def run(self, operation: Operation[Any]) -> Any:
            reply = await super().run(operation)
            if isinstance(operation, Exchange) and reply.claims:
                replies.append(sum(len(claim.data) for claim in reply.claims))
            return reply

    text = define_task("text", input=str)
    backend = Measuring(open_backend(memory))
    worker = Worker(backend)

    @worker.implement(text, concurrency=30)
    async def handle(data: str, ctx: Context) -> None:
        """Does nothing."""

    async with AsyncProducer(memory) as producer:
        jobs = await producer.register(text).dispatch_many(["x" * 998] * 100)
        async with worker:
            await asyncio.gather(*(job.result("20s") for job in jobs))
    assert replies[0] == 15_000
    assert max(replies[1:]) == 4_000
    assert sum(replies) == 100_000
    await backend.close()
