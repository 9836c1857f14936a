import asyncio
import threading
from typing import Any
from unittest.mock import AsyncMock

import pytest

from packages.worker.tests.workbench import Meddler, anything, double, find, reach
from taskora.contracts import JobCancelledError, JobState, Retry
from taskora.producer import AsyncProducer, CancelledEvent, Producer
from taskora.wire import Cancel, Claim, Enqueue, Exchange, NewJob, Operation, Report
from taskora.wire.backends import open_backend
from taskora.worker import Context, Worker
from taskora.worker._attempt import Attempt, StopReason
from taskora.worker._executor import Executor
from taskora.worker._implementation import resolve
from taskora.worker._running import RunningAttempts
from tests.polling import aeventually

FOR_EVER = 3600.0


class Hook:
    """A cancel hook that keeps what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, str]] = []

    async def __call__(self, data: object, ctx: Context) -> None:
        self.calls.append((data, ctx.id))


class Gate:
    """Where a handler tells that it runs, and what stopped it."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.reasons: list[str | None] = []

    async def __call__(self, data: object, ctx: Context) -> None:
        self.entered.set()
        try:
            await asyncio.sleep(FOR_EVER)
        finally:
            self.reasons.append(ctx.cancelled.reason)


WAITS: list[dict[str, Any]] = [{}, {"priority": 3}, {"delay": "1h"}]


@pytest.mark.parametrize("options", WAITS, ids=["waiting", "prioritized", "delayed"])
async def test_a_job_that_has_not_begun_never_runs(url: str, options: dict[str, Any]) -> None:
    worker = Worker(url)
    hook, ran = Hook(), list[object]()

    @worker.implement(anything, on_cancel=hook)
    async def handle(data: object) -> None:
        ran.append(data)

    task = worker.register(anything)
    job = await task.dispatch("cancelled", **options)
    assert await job.cancel(reason="changed my mind")
    async with worker:
        await (await task.dispatch("other")).result("5s")
        with pytest.raises(JobCancelledError, match="changed my mind"):
            await job.result("5s")
        info = await find(worker, job.id)
        assert [item.id for item in await worker.producer.inspector.cancelled(anything)] == [job.id]
    assert (info.state, info.cancel_reason) == (JobState.CANCELLED, "changed my mind")
    assert (ran, hook.calls) == (["other"], [])


async def test_a_job_that_waits_for_its_retry_is_cancelled(url: str) -> None:
    worker = Worker(url)

    @worker.implement(anything, retry=Retry(attempts=5, delay="1h"))
    async def handle(data: object) -> None:
        raise KeyError("first")

    async with worker:
        job = await worker.register(anything).dispatch(1)
        await reach(worker, job.id, JobState.RETRYING)
        assert await job.cancel()
        assert (await find(worker, job.id)).state is JobState.CANCELLED
        with pytest.raises(JobCancelledError):
            await job.result("5s")


async def test_a_running_handler_is_stopped_and_then_its_hook_runs(url: str) -> None:
    worker = Worker(url)
    gate, hook = Gate(), Hook()
    worker.implement(anything, gate, on_cancel=hook)
    events: list[CancelledEvent] = []
    worker.on("task:cancelled")(events.append)
    async with worker:
        job = await worker.register(anything).dispatch({"a": 1})
        await gate.entered.wait()
        assert await job.cancel(reason="enough")
        with pytest.raises(JobCancelledError, match="enough"):
            await job.result("5s")
        info = await find(worker, job.id)
        await aeventually(lambda: len(events) == 1)
    assert gate.reasons == ["cancelled"]
    assert hook.calls == [({"a": 1}, job.id)]
    assert (info.state, info.cancel_reason, info.attempt) == (JobState.CANCELLED, "enough", 1)
    assert (events[0].job_id, events[0].task, events[0].reason) == (job.id, "anything", "enough")


async def test_a_running_thread_is_asked_to_stop_and_its_hook_waits_for_it(url: str) -> None:
    worker = Worker(url)
    entered, trace = threading.Event(), list[str]()

    async def hook(data: object, ctx: Context) -> None:
        trace.append(f"hook {data}")

    @worker.implement(anything, on_cancel=hook)
    def handle(data: object, ctx: Context) -> None:
        entered.set()
        assert ctx.cancelled.wait(10)
        trace.append(f"handler {ctx.cancelled.reason}")
        ctx.raise_if_cancelled()

    async with worker:
        job = await worker.register(anything).dispatch("x")
        await aeventually(entered.is_set)
        assert await job.cancel()
        with pytest.raises(JobCancelledError):
            await job.result("5s")
    assert trace == ["handler cancelled", "hook x"]


async def test_a_plain_function_may_be_a_hook(memory: str) -> None:
    worker = Worker(memory)
    gate, calls = Gate(), list[object]()
    worker.implement(anything, gate, on_cancel=lambda data, ctx: calls.append(data))
    async with worker:
        job = await worker.register(anything).dispatch("x")
        await gate.entered.wait()
        await job.cancel()
        await reach(worker, job.id, JobState.CANCELLED)
    assert calls == ["x"]


@pytest.mark.parametrize("ending", ["result", "error"])
async def test_whatever_a_handler_does_after_its_job_was_cancelled_it_stays_cancelled(url: str, ending: str) -> None:
    worker = Worker(url)
    entered, hook = asyncio.Event(), Hook()

    @worker.implement(double, on_cancel=hook, retry=Retry(attempts=5, delay="1ms"))
    async def handle(data: int, ctx: Context) -> int:
        entered.set()
        try:
            await asyncio.sleep(FOR_EVER)
        except asyncio.CancelledError:
            if ending == "error":
                raise RuntimeError("while cleaning up") from None
        return data

    async with worker:
        job = await worker.register(double).dispatch(1)
        await entered.wait()
        await job.cancel()
        with pytest.raises(JobCancelledError):
            await job.result("5s")
        info = await find(worker, job.id)
    assert (info.state, "result" in info.fields, len(hook.calls)) == (JobState.CANCELLED, False, 1)


async def test_a_hook_that_fails_is_logged_and_the_job_is_cancelled_all_the_same(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(url)
    gate = Gate()

    async def hook(data: object, ctx: Context) -> None:
        raise RuntimeError("the hook is broken")

    worker.implement(anything, gate, on_cancel=hook)
    async with worker:
        job = await worker.register(anything).dispatch(1)
        await gate.entered.wait()
        await job.cancel()
        await reach(worker, job.id, JobState.CANCELLED)
    assert "on_cancel_failed" in caplog.messages
    assert "the hook is broken" in caplog.text


async def test_the_hook_runs_where_the_job_runs(url: str) -> None:
    gate, hooks = Gate(), (Hook(), Hook())
    runner, bystander = Worker(url), Worker(url)
    runner.implement(anything, gate, on_cancel=hooks[0])
    async with runner:
        job = await bystander.register(anything).dispatch("x")
        await gate.entered.wait()
        bystander.implement(anything, Gate(), on_cancel=hooks[1])
        async with bystander:
            assert await bystander.register(anything).job(job.id).cancel()
            await reach(runner, job.id, JobState.CANCELLED)
    assert [len(hook.calls) for hook in hooks] == [1, 0]


async def test_a_missed_message_comes_with_the_next_renewal(url: str) -> None:
    backend = Meddler(open_backend(url), deaf=True)
    worker = Worker(backend, lease="1s")
    gate, hook = Gate(), Hook()
    worker.implement(anything, gate, on_cancel=hook)
    async with worker:
        job = await worker.register(anything).dispatch("x")
        await gate.entered.wait()
        await job.cancel()
        await reach(worker, job.id, JobState.CANCELLED)
    await backend.close()
    assert (gate.reasons, hook.calls) == (["cancelled"], [("x", job.id)])


async def test_a_heartbeat_hears_of_a_cancellation(memory: str) -> None:
    backend = Meddler(open_backend(memory), deaf=True)
    worker = Worker(backend, lease="1h")
    entered, cancelled = asyncio.Event(), asyncio.Event()

    @worker.implement(anything)
    async def handle(data: object, ctx: Context) -> None:
        entered.set()
        await cancelled.wait()
        ctx.heartbeat()
        await asyncio.sleep(FOR_EVER)

    async with worker:
        job = await worker.register(anything).dispatch("x")
        await entered.wait()
        await job.cancel()
        cancelled.set()
        await reach(worker, job.id, JobState.CANCELLED)
    await backend.close()


@pytest.mark.parametrize("kind", ["retry", "shutdown"])
async def test_a_job_that_was_cancelled_unheard_does_not_run_again(url: str, kind: str, outside: AsyncProducer) -> None:
    backend = Meddler(open_backend(url), deaf=True)
    worker = Worker(backend, lease="1h")
    hook, attempts = Hook(), list[int]()
    entered, go_on = asyncio.Event(), asyncio.Event()

    @worker.implement(anything, on_cancel=hook, retry=Retry(attempts=5, backoff="fixed", delay="1ms"))
    async def handle(data: object, ctx: Context) -> None:
        attempts.append(ctx.attempt)
        entered.set()
        await go_on.wait()
        raise KeyError("again")

    await worker.start()
    job = await worker.register(anything).dispatch("x")
    await entered.wait()
    await job.cancel()
    if kind == "retry":
        go_on.set()
        await reach(worker, job.id, JobState.CANCELLED)
    await worker.close(timeout=0)
    info = await find(outside, job.id)
    await backend.close()
    assert (info.state, attempts, hook.calls) == (JobState.CANCELLED, [1], [("x", job.id)])


async def test_a_job_that_is_cancelled_while_its_claim_is_on_its_way_is_stopped_at_once(memory: str) -> None:
    inner = open_backend(memory)
    held = asyncio.Event()

    class Slow(Meddler):
        async def run(self, operation: Operation[Any]) -> Any:
            reply = await super().run(operation)
            if isinstance(operation, Exchange) and reply.claims:
                claimed.set()
                await held.wait()
            return reply

    claimed = asyncio.Event()
    backend = Slow(inner)
    worker = Worker(backend, lease="1h")
    gate, hook = Gate(), Hook()
    worker.implement(anything, gate, on_cancel=hook)
    async with worker:
        await inner.run(Enqueue(task="anything", version=1, max_attempts=1, jobs=[NewJob(job_id="j", data=b'"x"')]))
        await claimed.wait()
        await inner.run(Cancel(task="anything", job_id="j"))
        await aeventually(lambda: _cancelled_early(worker))
        held.set()
        await reach(worker, "j", JobState.CANCELLED)
    await inner.close()
    assert gate.reasons == []
    assert hook.calls == [("x", "j")]


async def test_a_cancellation_is_kept_until_every_claim_that_may_have_brought_its_job_is_known(memory: str) -> None:
    worker = Worker(memory)
    gate, hook = Gate(), Hook()
    worker.implement(anything, gate, on_cancel=hook)
    async with worker:
        attempts = _attempts(worker)
        await aeventually(lambda: not attempts._cancelled_early)
        attempts.expect_claims("t")
        attempts.expect_claims("u")
        attempts.cancel("j")
        attempts.claims_known("u")
        attempts.start([Claim(job_id="j", data=b'"x"', version=1, attempt=1, timestamp_ms=0, token="t")], 0)
        attempts.claims_known("t")
        attempts.cancel("k")
        assert not attempts._cancelled_early
        await aeventually(lambda: hook.calls == [("x", "j")])
    assert gate.reasons == []


def _cancelled_early(worker: Worker) -> set[str]:
    return set[str]().union(*_attempts(worker)._cancelled_early.values())


def _attempts(worker: Worker) -> RunningAttempts:
    assert worker._runtime is not None
    return worker._runtime._lanes["anything"].attempts


async def test_a_producer_in_another_thread_cancels(url: str) -> None:
    worker = Worker(url)
    gate = Gate()
    worker.implement(anything, gate)

    def cancel(job_id: str) -> bool:
        with Producer(url) as producer:
            return producer.register(anything).job(job_id).cancel(reason="from a thread")

    async with worker:
        job = await worker.register(anything).dispatch(1)
        await gate.entered.wait()
        assert await asyncio.to_thread(cancel, job.id)
        with pytest.raises(JobCancelledError, match="from a thread"):
            await job.result("5s")


async def test_a_job_that_has_ended_stays_as_it_is(url: str) -> None:
    worker = Worker(url)

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data * 2

    async with worker:
        job = await worker.register(double).dispatch(1)
        assert await job.result("5s") == 2
        assert await job.cancel() is False
        assert await job.state() is JobState.COMPLETED
        assert await worker.register(double).job("nowhere").cancel() is False


async def test_a_cancelled_job_frees_its_slot(url: str) -> None:
    worker = Worker(url)
    entered: asyncio.Queue[str] = asyncio.Queue()

    @worker.implement(anything)
    async def handle(data: object, ctx: Context) -> None:
        if data == "wait":
            entered.put_nowait(ctx.id)
            await asyncio.sleep(FOR_EVER)

    async with worker:
        task = worker.register(anything)
        for _ in range(3):
            await task.dispatch("wait")
        for _ in range(3):
            assert await task.job(await entered.get()).cancel()
        assert await (await task.dispatch("go")).result("5s") is None


async def test_the_hook_of_a_payload_that_cannot_be_read_is_not_called(
    memory: str, caplog: pytest.LogCaptureFixture
) -> None:
    implementation = resolve(double, Gate(), Worker(memory)._defaults, None, on_cancel=Hook())
    executor = Executor(implementation, (), lambda context: asyncio.sleep(0), reserve=AsyncMock())
    claim = Claim(job_id="j", token="t", data=b"{", version=1, attempt=1, timestamp_ms=0)
    reporter: Any = None
    attempt = Attempt(claim, implementation, reporter, 0)
    attempt.stop(StopReason.CANCELLED)
    outcome = await executor.run(attempt)
    assert outcome.kind.value == "cancelled"
    assert "on_cancel_failed" in caplog.messages


async def test_what_a_hook_reports_of_a_job_that_was_cancelled_unheard_is_written_before_its_end(memory: str) -> None:
    order: list[str] = []

    class Slow(Meddler):
        """Takes longer for reports than for everything else."""

        async def run(self, operation: Operation[Any]) -> Any:
            if isinstance(operation, Exchange):
                order.extend(outcome.kind for outcome in operation.outcomes)
            if isinstance(operation, Report):
                for _ in range(20):
                    await asyncio.sleep(0)
                order.extend(entry.kind for entry in operation.entries)
            return await super().run(operation)

    async def hook(data: object, ctx: Context) -> None:
        ctx.log.info("undone")

    backend = Slow(open_backend(memory), deaf=True)
    worker = Worker(backend, lease="1h")
    entered, go_on = asyncio.Event(), asyncio.Event()

    @worker.implement(anything, on_cancel=hook, retry=Retry(attempts=5))
    async def handle(data: object) -> None:
        entered.set()
        await go_on.wait()
        raise KeyError("again")

    async with worker:
        job = await worker.register(anything).dispatch("x")
        await entered.wait()
        await job.cancel()
        go_on.set()
        await reach(worker, job.id, JobState.CANCELLED)
    await backend.close()
    assert order == ["retrying", "log", "cancelled"]
