"""Workflows in virtual time."""

import pytest

from taskora.contracts import JobCancelledError, Retry, chain, chord, define_task
from taskora.testing import TestRunner
from taskora.worker import Context, Worker

double = define_task("double", input=int, output=int)
total = define_task("total", input=list[int], output=int)
flaky = define_task("flaky", input=int, output=int, retry=Retry(attempts=3, delay="1h"))
spread = define_task("spread", input=int, output=int)


def a_worker() -> Worker:
    worker = Worker("memory://never-used")

    @worker.implement(double, concurrency=2)
    async def _double(data: int) -> int:
        return data * 2

    @worker.implement(total)
    async def _total(data: list[int]) -> int:
        return sum(data)

    @worker.implement(flaky)
    async def _flaky(data: int, ctx: Context) -> int:
        if ctx.attempt < 3:
            raise RuntimeError("not yet")
        return data

    @worker.implement(spread)
    async def _spread(data: int, ctx: Context) -> int:
        ctx.spawn(flaky.s(1))
        return data

    return worker


async def test_a_workflow_runs_to_its_end() -> None:
    worker = a_worker()
    async with TestRunner(worker) as runner:
        flow = await worker.producer.dispatch(chord([double.s(1) | double.s(), double.s(3)], total.s()))
        await runner.process_all()
        assert await flow.result(0) == 10


async def test_retries_within_a_workflow_take_virtual_time() -> None:
    worker = a_worker()
    async with TestRunner(worker) as runner:
        flow = await worker.producer.dispatch(chain(double.s(1), flaky.s(), double.s()))
        await runner.process_all()
        assert await flow.state() == "running"
        await runner.advance_time("5h")
        assert await flow.result(0) == 4


async def test_what_was_spawned_is_waited_for() -> None:
    worker = a_worker()
    async with TestRunner(worker) as runner:
        flow = await worker.producer.dispatch(spread.s(1) | double.s())
        await runner.process_all()
        assert [node.state for node in await flow.nodes()] == ["active", "pending", "active"]
        await runner.advance_time("5h")
        assert await flow.result(0) == 2


async def test_a_time_limit_ends_a_workflow_at_its_instant() -> None:
    worker = a_worker()
    async with TestRunner(worker) as runner:
        flow = await worker.producer.dispatch(flaky.s(1), ttl="30m")
        await runner.advance_time("29m")
        assert await flow.state() == "running"
        await runner.advance_time("1m")
        with pytest.raises(JobCancelledError, match="workflow timeout"):
            await flow.result(0)
