"""Workflows that fail, are cancelled, run out of time, and are tried again."""

from typing import Any

import pytest

from packages.worker.tests.shop import Shop, block, double, fail, nothing_is_left_undone, opened, total
from packages.worker.tests.workbench import claim_like_a_lost_worker
from taskora.contracts import (
    JobCancelledError,
    JobFailedError,
    JobState,
    Stall,
    Ttl,
    chord,
    group,
)
from taskora.producer import AsyncProducer, AsyncWorkflowHandle
from taskora.worker import Defaults, Worker
from tests.polling import aeventually


async def _all_cancelled(producer: AsyncProducer, flow: AsyncWorkflowHandle[Any]) -> bool:
    """Whether all the blocked jobs are."""
    jobs = [producer.register(block).job(node.job_id) for node in await flow.nodes() if node.task == "block"]
    return {await job.state() for job in jobs} == {JobState.CANCELLED}


async def test_a_failed_step_fails_the_workflow_and_cancels_the_rest(url: str) -> None:
    async with opened(url) as (_, producer):
        flow = await producer.dispatch(chord([block.s(1), block.s(2) | double.s(), double.s(1) | fail.s()], total.s()))
        with pytest.raises(JobFailedError, match="of task 'fail': broken on purpose"):
            await flow.result("20s")
        assert await flow.state() == "failed"
        await aeventually(lambda: _all_cancelled(producer, flow))
        await nothing_is_left_undone(url)


async def test_cancelling_reaches_jobs_that_run_and_jobs_that_wait(url: str) -> None:
    async with opened(url) as (shop, producer):
        flow = await producer.dispatch(group([block.s(number) for number in range(5)]) | total.s())
        await aeventually(lambda: shop.running == 3)
        assert await flow.cancel("enough") is True
        with pytest.raises(JobCancelledError, match="enough"):
            await flow.result("20s")
        await aeventually(lambda: len(shop.cancelled) == 3)
        await aeventually(lambda: _all_cancelled(producer, flow))
        assert await flow.cancel() is False
        await nothing_is_left_undone(url)


async def test_a_workflow_ends_with_its_time(url: str) -> None:
    async with opened(url) as (shop, producer):
        flow = await producer.dispatch(block.s(1), ttl="300ms")
        with pytest.raises(JobCancelledError, match="workflow timeout"):
            await flow.result("20s")
        await aeventually(lambda: len(shop.cancelled) == 1)


async def test_a_waiter_ends_it_where_no_worker_does(url: str) -> None:
    async with AsyncProducer(url) as producer:
        flow = await producer.dispatch(block.s(1), ttl="100ms")
        with pytest.raises(JobCancelledError, match="workflow timeout"):
            await flow.result("20s")


async def test_a_cancelled_job_cancels_its_workflow(url: str) -> None:
    async with AsyncProducer(url) as producer:
        flow = await producer.dispatch(double.s(1) | double.s())
        (root, _) = await flow.nodes()
        assert await producer.register(double).job(root.job_id).cancel("not this one")
        with pytest.raises(JobCancelledError, match="not this one"):
            await flow.result("20s")


async def test_a_job_that_kills_its_workers_fails_its_workflow(url: str) -> None:
    worker = Worker(url, defaults=Defaults(stall=Stall(interval="100ms", max_count=0)))
    worker.implement(double, Shop._double.__get__(Shop(url)))
    flow = await worker.producer.dispatch(double.s(1) | double.s())
    await claim_like_a_lost_worker(worker, "double", lease_ms=1)
    async with worker:
        with pytest.raises(JobFailedError, match="stalled"):
            await flow.result("20s")


async def test_a_job_that_expires_fails_its_workflow(url: str) -> None:
    worker = Worker(url)
    worker.implement(double, lambda data: data, ttl=Ttl(max="1ms", on_expire="discard"))
    flow = await worker.producer.dispatch(double.s(1) | double.s())
    async with worker:
        with pytest.raises(JobFailedError, match="did not start within its time to live"):
            await flow.result("20s")


async def test_another_try_keeps_what_was_done(url: str) -> None:
    async with opened(url) as (shop, producer):
        flow = await producer.dispatch(double.s(1) | fail.s() | double.s())
        with pytest.raises(JobFailedError):
            await flow.result("20s")
        before = await flow.nodes()
        shop.broken = False
        assert await flow.retry() is True
        assert await flow.result("20s") == 6
        assert (await flow.nodes())[0] == before[0]
        assert len(set(shop.runs)) == len(shop.runs) == 2
        assert await flow.retry() is False


@pytest.mark.parametrize("every", [False, True], ids=["one", "all"])
async def test_retrying_the_dead_letter_reopens_the_workflow(url: str, every: bool) -> None:
    async with opened(url) as (shop, producer):
        flow = await producer.dispatch(fail.s(1) | double.s())
        with pytest.raises(JobFailedError):
            await flow.result("20s")
        shop.broken = False
        (dead,) = await producer.dead_letters.list()
        assert await (producer.dead_letters.retry_all() if every else producer.dead_letters.retry(dead.id))
        assert await flow.result("20s") == 4
