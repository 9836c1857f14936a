"""Closing a worker: who may end it, and who hears of it."""

import asyncio
import threading

import pytest

from packages.worker.tests.workbench import double
from taskora.worker import Context, Worker, _runtime
from taskora.worker._listeners import WorkerEvent
from tests.polling import aeventually


async def test_closing_goes_on_although_its_caller_was_cancelled(memory: str) -> None:
    worker = Worker(memory)
    entered, go_on = asyncio.Event(), asyncio.Event()

    @worker.implement(double)
    async def handle(data: int) -> int:
        entered.set()
        await go_on.wait()
        return data

    await worker.start()
    await worker.register(double).dispatch(1)
    await entered.wait()
    first = asyncio.create_task(worker.close(timeout=None))
    await aeventually(lambda: worker._closing is not None)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(worker.close())
    await asyncio.wait((second,), timeout=0.05)
    assert not second.done()
    go_on.set()
    await second
    assert worker._closed


async def test_a_shutdown_that_is_cancelled_itself_leaves_nothing_running(memory: str) -> None:
    worker = Worker(memory)
    entered, stopped = asyncio.Event(), asyncio.Event()

    @worker.implement(double)
    async def handle(data: int) -> int:
        entered.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.set()
        return data

    await worker.start()
    await worker.register(double).dispatch(1)
    await entered.wait()
    closing = asyncio.create_task(worker.close(timeout=None))
    await aeventually(lambda: worker._closing is not None)
    assert worker._closing is not None
    worker._closing.cancel()
    await asyncio.wait((closing,))
    await stopped.wait()
    assert all(thread.name != "taskora-leases" for thread in threading.enumerate())


async def test_nothing_is_claimed_any_more_when_listeners_hear_that_the_worker_closes(memory: str) -> None:
    worker = Worker(memory)
    entered = asyncio.Event()
    claiming: list[bool] = []

    @worker.implement(double)
    async def handle(data: int, ctx: Context) -> int:
        entered.set()
        await ctx.cancelled
        return data

    @worker.on("worker:closing")
    async def hear(event: WorkerEvent) -> None:
        assert worker._runtime is not None
        claiming.append(not worker._runtime._lanes["double"]._stopping)

    await worker.start()
    await worker.close()
    assert claiming == [False]


@pytest.mark.parametrize("hurried", [False, True])
async def test_a_listener_that_does_not_end_keeps_no_worker_from_closing(memory: str, hurried: bool) -> None:
    worker = Worker(memory)
    hearing = asyncio.Event()

    @worker.on("worker:closing")
    async def hear(event: WorkerEvent) -> None:
        hearing.set()
        await asyncio.get_running_loop().create_future()

    await worker.start()
    async with asyncio.timeout(10):
        closing = asyncio.create_task(worker.close("1h" if hurried else "50ms"))
        await hearing.wait()
        if hurried:
            worker._hurry()
        await closing


async def test_a_shutdown_by_default_fits_into_what_kubernetes_allows() -> None:
    assert 25 + _runtime._STOP_SECONDS + _runtime._STORE_SECONDS + _runtime._SHORTEST_STOP_SECONDS < 30
