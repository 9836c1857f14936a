"""A runner borrows a worker, patches nothing, and gives it back as it was."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from taskora.contracts import JobState, Retry, UsageError, define_task
from taskora.producer import AsyncProducer, CompletedEvent
from taskora.testing import TestRunner
from taskora.wire.backends import redirected
from taskora.worker import CallNext, Context, Worker, WorkerEvent
from tests.polling import aeventually

double = define_task("double", input=int, output=int)


def a_worker(url: str) -> Worker:
    worker = Worker(url)

    @worker.implement(double)
    async def handle(data: int) -> int:
        return 2 * data

    return worker


@pytest.fixture
def url() -> str:
    return f"memory://{uuid.uuid4().hex}"


async def test_a_closed_runner_gives_the_worker_back_and_it_runs_for_real(url: str) -> None:
    worker = a_worker(url)
    task = worker.register(double)
    before = await worker.producer.register(double).dispatch(1)
    async with TestRunner(worker) as runner:
        inside = await task.dispatch(2)
        await runner.process_all()
        assert await inside.result() == 4
        assert [job.id for job in runner.jobs] == [inside.id]
    async with worker, AsyncProducer(url) as outside:
        assert await before.result(timeout="5s") == 2
        after = await task.dispatch(3)
        assert await outside.register(double).job(after.id).result(timeout="5s") == 6
        assert await outside.inspector.find(inside.id) is None


async def test_a_borrowed_worker_cannot_be_started_and_a_running_one_not_borrowed(url: str) -> None:
    worker = a_worker(url)
    async with TestRunner(worker):
        with pytest.raises(UsageError, match="lent"):
            await worker.start()
    async with worker:
        with pytest.raises(UsageError, match="runs"):
            TestRunner(worker)


async def test_a_second_runner_takes_the_worker_over(url: str) -> None:
    worker = a_worker(url)
    first = TestRunner(worker)
    assert (await first.execute(double, 1)).result == 2
    second = TestRunner(worker)
    assert (await second.execute(double, 2)).result == 4
    with pytest.raises(UsageError, match="another one has borrowed"):
        await first.execute(double, 3)
    await first.close()
    assert (await second.execute(double, 4)).result == 8
    await second.close()
    async with worker:
        assert await (await worker.register(double).dispatch(5)).result(timeout="5s") == 10


def test_a_runner_works_without_an_event_loop_of_its_own(url: str) -> None:
    worker = a_worker(url)
    with TestRunner(worker) as runner:
        handle = runner.sync_producer.register(double).dispatch(1)
        asyncio.run(runner.process_all())
        assert handle.result(timeout=0) == 2
        execution = asyncio.run(runner.execute(double, 2))
        assert execution.result == 4
        assert len(runner.jobs) == 2
    asyncio.run(runs_for_real(worker))


async def runs_for_real(worker: Worker) -> None:
    async with worker:
        assert await (await worker.register(double).dispatch(5)).result(timeout="5s") == 10


async def test_listeners_of_the_worker_hear_of_jobs_in_order(url: str) -> None:
    worker = a_worker(url)
    heard: list[str] = []

    @worker.on("worker:ready")
    @worker.on("worker:closing")
    async def note(event: WorkerEvent) -> None:
        heard.append(event.name)

    @worker.on("task:completed")
    async def completed(event: CompletedEvent[object]) -> None:
        heard.append(f"{event.kind} {event.result}")

    @worker.register(double).on("active")
    def active(event: object) -> None:
        heard.append("active")

    async with TestRunner(worker) as runner:
        await runner.dispatch(double, 1)
        await runner.execute(double, 2)
    assert heard == [
        "worker:ready",
        "active",
        "completed 2",
        "active",
        "completed 4",
        "worker:closing",
    ]


async def test_code_under_test_that_waits_for_a_result_makes_the_runner_work(url: str) -> None:
    worker = a_worker(url)
    send = worker.register(double)

    async def endpoint(data: int) -> int:
        handle = await send.dispatch(data)
        return await handle.result(timeout="5s")

    async with TestRunner(worker) as runner:
        assert await endpoint(4) == 8
        async with AsyncProducer(runner.backend) as producer:
            assert await (await producer.register(double).dispatch(5)).result() == 10
        assert await (await runner.dispatch(double, 6)).result() == 12


async def test_a_producer_that_is_sent_to_the_runner_makes_it_work_too(url: str) -> None:
    async with AsyncProducer("redis://127.0.0.1:1") as producer, TestRunner(a_worker(url)) as runner:
        with redirected(lambda _prefix: runner.backend):
            assert await (await producer.register(double).dispatch(5)).result() == 10


async def test_the_worker_of_a_runner_is_seen_however_much_time_passes(url: str) -> None:
    async with TestRunner(a_worker(url)) as runner:
        await runner.advance_time("1d")
        job = await runner.dispatch(double, 1)
        assert [info.parked_reason for info in runner.jobs] == [None]
        assert await job.result() == 2


async def test_a_runner_leaves_nothing_behind(url: str) -> None:
    tasks = asyncio.all_tasks()
    worker = a_worker(url)
    async with TestRunner(worker) as runner:
        await runner.execute(double, 1)
        assert await (await runner.dispatch(double, 6)).result() == 12
    await aeventually(lambda: asyncio.all_tasks() == tasks)


async def test_tasks_that_are_implemented_later_are_found(url: str) -> None:
    worker = a_worker(url)
    late = define_task("late", input=int, output=int)
    async with TestRunner(worker) as runner:
        with pytest.raises(UsageError, match="only: double"):
            await runner.execute(late, 1)
        worker.implement(late, lambda data: data + 1)
        assert (await runner.execute(late, 1)).result == 2


async def test_a_handler_that_is_run_directly_may_wait_for_jobs_too(url: str) -> None:
    worker = Worker(url)

    @worker.task("child", retry=Retry(attempts=2, delay="1m"))
    async def child(data: int, ctx: Context) -> int:
        if ctx.attempt == 1:
            raise OSError("not yet")
        return data + 1

    @worker.task("parent")
    async def parent(data: int) -> int:
        handles = [await child.dispatch(data), await child.dispatch(data + 10, delay="1h")]
        return sum(await asyncio.gather(*[handle.result() for handle in handles]))

    async with TestRunner(worker) as runner:
        begin = runner.now
        assert await runner.run(parent, 1) == 14
        assert runner.now - begin == timedelta(minutes=61)


async def test_a_handler_that_waits_keeps_its_job_however_the_time_goes_on(url: str) -> None:
    worker = Worker(url)
    begun: list[int] = []

    @worker.task("child")
    async def child(data: int) -> int:
        return data

    @worker.task("parent")
    async def parent(data: int) -> int:
        begun.append(data)
        return await (await child.dispatch(data, delay="10m")).result()

    async with TestRunner(worker) as runner:
        job = await parent.dispatch(1)
        for _ in range(119):
            await runner.advance_time("5s")
        assert await job.state() is JobState.ACTIVE
        await runner.advance_time("5s")
        assert await job.result() == 1
    assert begun == [1]


async def test_what_a_handler_left_running_does_not_pass_for_its_attempt(url: str) -> None:
    worker = Worker(url)
    left: list[asyncio.Task[int]] = []
    gate = asyncio.Event()

    @worker.task("slow")
    async def slow(data: int) -> int:
        await gate.wait()
        return data

    @worker.task("careless")
    async def careless(data: int) -> None:
        handle = await slow.dispatch(data, delay="1h")
        left.append(asyncio.create_task(handle.result()))

    async with TestRunner(worker) as runner:
        await careless.dispatch(1)
        first = await slow.dispatch(2)
        working = asyncio.create_task(runner.advance_time("2h"))
        await aeventually(lambda: len(left) == 1)
        assert not working.done()
        gate.set()
        await working
        assert await first.result() == 2
        assert await left[0] == 1


async def test_a_listener_that_waits_for_a_job_is_told_that_it_cannot(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = a_worker(url)

    @worker.on("task:completed")
    async def completed(event: CompletedEvent[object]) -> None:
        await (await worker.register(double).dispatch(9)).result()

    async with TestRunner(worker, max_jobs=50) as runner:
        await runner.dispatch(double, 1)
        with pytest.raises(UsageError, match="without end"):
            await runner.process_all()
    assert "a listener cannot wait" in caplog.text


async def test_an_old_producer_meets_a_new_worker(url: str) -> None:
    old = define_task("double", input=int)
    new = define_task("double", input=dict[str, int], output=int, version=2)
    worker = Worker(url)

    @worker.implement(new, migrate={1: lambda number: {"value": number}})
    async def handle(data: dict[str, int]) -> int:
        return 2 * data["value"]

    async with TestRunner(worker) as runner:
        before = await runner.dispatch(old, 4)
        after = await runner.dispatch(new, {"value": 5})
        await runner.process_all()
        assert (await before.result(), await after.result()) == (8, 10)


async def test_the_time_can_be_given_as_an_instant(url: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    async with TestRunner(a_worker(url), start=start) as runner:
        job = await runner.dispatch(double, 1, delay="1h")
        await runner.advance_to(start + timedelta(hours=1))
        assert await job.result() == 2
        with pytest.raises(UsageError, match="time zone"):
            await runner.advance_to(datetime(2026, 1, 2))  # noqa: DTZ001 - that it has none is the point


async def test_middleware_that_is_added_later_counts(url: str) -> None:
    worker = a_worker(url)
    async with TestRunner(worker) as runner:
        assert (await runner.execute(double, 1)).result == 2

        @worker.use
        async def negate(ctx: Context, call_next: CallNext) -> None:
            ctx.result = -1 * int(str(await call_next()))

        assert (await runner.execute(double, 1)).result == -2
        job = await runner.dispatch(double, 3)
        assert await job.cancel()
        assert (await runner.process_all()).processed == ()
        assert runner.steps[-1].state is JobState.CANCELLED


async def test_a_handler_may_wait_for_a_workflow_whatever_time_it_takes(url: str) -> None:
    worker = Worker(url)
    step = define_task("step", input=int, output=int, retry=Retry(attempts=2, delay="3h"))

    @worker.implement(step)
    async def run_step(data: int, ctx: Context) -> int:
        if ctx.attempt == 1:
            raise OSError("not yet")
        return data + 1

    @worker.task("parent")
    async def parent(data: int) -> int:
        flow = await worker.producer.dispatch(step.s(data) | step.s())
        return await flow.result()

    async with TestRunner(worker) as runner:
        begin = runner.now
        assert (await runner.execute(parent, 1)).result == 3
        assert runner.now - begin == timedelta(hours=6)
