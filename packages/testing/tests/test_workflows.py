"""Workflows in virtual time."""

from typing import Any

import pytest

from taskora.contracts import BackendError, JobCancelledError, JobFailedError, Retry, chain, chord, define_task
from taskora.testing import TestRunner
from taskora.wire import Operation, ReviseWorkflow
from taskora.wire.backends import MemoryBackend
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


def fail_to_plan(monkeypatch: pytest.MonkeyPatch, *, times: int, is_permanent: bool) -> list[int]:
    """The storage fails so many times when steps are added to a workflow; the list grows with each."""
    run = MemoryBackend.run
    failures: list[int] = []

    async def run_or_fail(self: MemoryBackend, operation: Operation[Any]) -> Any:
        if isinstance(operation, ReviseWorkflow) and len(failures) < times:
            failures.append(1)
            raise BackendError("not now", is_permanent=is_permanent)
        return await run(self, operation)

    monkeypatch.setattr(MemoryBackend, "run", run_or_fail)
    return failures


async def test_what_cannot_be_planned_now_is_planned_within_the_same_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = a_worker()
    failures = fail_to_plan(monkeypatch, times=2, is_permanent=False)
    async with TestRunner(worker) as runner:
        flow = await worker.producer.dispatch(spread.s(1) | double.s())
        await runner.advance_time("5h")
        assert await flow.result(0) == 2
        assert [node.task for node in await flow.nodes()] == ["spread", "double", "flaky"]
    assert len(failures) == 2


async def test_what_cannot_be_planned_at_all_fails_the_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = a_worker()
    failures = fail_to_plan(monkeypatch, times=100, is_permanent=True)
    async with TestRunner(worker) as runner:
        flow = await worker.producer.dispatch(spread.s(1) | double.s())
        await runner.advance_time("5h")
        with pytest.raises(JobFailedError, match="not now"):
            await flow.result(0)
        assert [node.state for node in await flow.nodes()] == ["failed", "failed"]
    assert len(failures) == 1


async def test_another_attempt_plans_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    retried = define_task("retried", input=int, output=int, retry=Retry(attempts=3, delay="1h"))
    worker = a_worker()

    @worker.implement(retried)
    async def _retried(data: int, ctx: Context) -> int:
        ctx.spawn(double.s(ctx.attempt))
        return data

    failures = fail_to_plan(monkeypatch, times=2, is_permanent=True)
    async with TestRunner(worker) as runner:
        flow = await worker.producer.dispatch(retried.s(1) | double.s())
        await runner.process_all()
        assert await flow.state() == "running"
        await runner.advance_time("5h")
        assert await flow.result(0) == 2
        assert [node.result for node in await flow.nodes()] == [1, 2, 6]
    assert len(failures) == 2
