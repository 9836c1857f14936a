import asyncio
import contextvars
import threading
from datetime import UTC, datetime, timedelta

import pytest

from packages.worker.tests.workbench import anything, double, find
from taskora.contracts import JobCancelledError, JobFailedError, JobState, Retry
from taskora.wire import Claim
from taskora.worker import CancelSignal, Context, Worker
from taskora.worker._context import ReportKind

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("NAME", default="nobody")


async def test_a_context_says_what_is_run(url: str) -> None:
    worker = Worker(url)
    seen: list[Context] = []

    @worker.implement(anything, retry=Retry(attempts=3), timeout="10s")
    async def handle(data: object, ctx: Context) -> None:
        assert ctx.data == data
        seen.append(ctx)

    async with worker:
        job = await worker.register(anything).dispatch({"a": 1})
        await job.result("5s")
        info = await find(worker, job.id)
    (ctx,) = seen
    assert (ctx.id, ctx.task, ctx.attempt, ctx.max_attempts, ctx.data) == (job.id, "anything", 1, 3, {"a": 1})
    assert ctx.timestamp == datetime.fromtimestamp(info.timestamp_ms / 1000, UTC)
    assert info.processed_on_ms is not None
    claimed = datetime.fromtimestamp(info.processed_on_ms / 1000, UTC)
    assert ctx.deadline == claimed + timedelta(seconds=10)
    assert not ctx.cancelled.is_set()
    assert ctx.cancelled.reason is None


async def test_an_attempt_without_a_timeout_has_no_deadline() -> None:
    ctx, _ = context(timeout_ms=None)
    assert ctx.deadline is None


PROGRESS = [(0, 0), (42, 42), (0.5, 0.5), ({"done": 3, "of": 7}, {"done": 3, "of": 7}), ("half", "half"), ([1], [1])]


@pytest.mark.parametrize(("reported", "read"), PROGRESS, ids=range(len(PROGRESS)))
@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_the_last_progress_reads_back_as_what_it_was(url: str, kind: str, reported: object, read: object) -> None:
    worker = Worker(url)

    async def in_loop(data: object, ctx: Context) -> None:
        in_thread(data, ctx)

    def in_thread(data: object, ctx: Context) -> None:
        ctx.progress("first")
        ctx.progress(reported)

    if kind == "async":
        worker.implement(anything, in_loop)
    else:
        worker.implement(anything, in_thread)
    async with worker:
        job = await worker.register(anything).dispatch(1)
        await job.result("5s")
        assert await job.progress() == read


async def test_without_progress_there_is_none(url: str) -> None:
    worker = Worker(url)

    @worker.implement(anything)
    async def handle(data: object) -> None:
        return None

    async with worker:
        job = await worker.register(anything).dispatch(1)
        await job.result("5s")
        assert await job.progress() is None
        assert await job.logs() == ()


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_three_levels_are_logged_in_order_with_time_and_meta(url: str, kind: str) -> None:
    worker = Worker(url)

    async def in_loop(data: object, ctx: Context) -> None:
        in_thread(data, ctx)

    def in_thread(data: object, ctx: Context) -> None:
        ctx.log.info("began", items=3, at=datetime(2024, 1, 1, tzinfo=UTC))
        ctx.log.warning("slow")
        getattr(ctx.log, "warn")("slower")  # noqa: B009 - ruff would rename it
        ctx.log.error("broken", why={"disk": "full"})

    if kind == "async":
        worker.implement(anything, in_loop)
    else:
        worker.implement(anything, in_thread)
    async with worker:
        job = await worker.register(anything).dispatch(1)
        await job.result("5s")
        logs = await job.logs()
    assert [(entry.level, entry.message, entry.meta) for entry in logs] == [
        ("info", "began", {"items": 3, "at": "datetime.datetime(2024, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)"}),
        ("warn", "slow", None),
        ("warn", "slower", None),
        ("error", "broken", {"why": {"disk": "full"}}),
    ]
    assert all(entry.timestamp_ms > 1_600_000_000_000 for entry in logs)


@pytest.mark.parametrize("ending", ["result", "error"])
async def test_everything_that_was_reported_is_there_when_the_job_ends(url: str, ending: str) -> None:
    worker = Worker(url)

    @worker.implement(anything, concurrency=10)
    async def handle(data: object, ctx: Context) -> None:
        for number in range(300):
            ctx.log.info(str(number))
            ctx.progress(number)
        if ending == "error":
            raise RuntimeError("at the end")

    async with worker:
        jobs = await worker.register(anything).dispatch_many(range(10))
        await asyncio.gather(*(job.result("10s") for job in jobs), return_exceptions=True)
        for job in jobs:
            info = await find(worker, job.id)
            assert info.state is (JobState.COMPLETED if ending == "result" else JobState.FAILED)
            assert [entry.message for entry in info.logs] == [str(number) for number in range(300)]
            assert info.progress == 299


async def test_progress_without_a_json_form_fails_where_it_is_reported(memory: str) -> None:
    ctx, port = context()
    ctx.progress({"at": datetime(2024, 1, 1, tzinfo=UTC)})
    (report,) = port.reports
    assert report[0] == "progress"


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_a_heartbeat_renews_the_lease(url: str, kind: str) -> None:
    worker = Worker(url, lease="1h")
    beat = asyncio.Event()

    async def in_loop(data: object, ctx: Context) -> None:
        ctx.heartbeat()
        await beat.wait()

    def in_thread(data: object, ctx: Context) -> None:
        ctx.heartbeat()

    if kind == "async":
        worker.implement(anything, in_loop)
    else:
        worker.implement(anything, in_thread)
    async with worker:
        job = await worker.register(anything).dispatch(1)
        beat.set()
        await job.result("5s")


async def test_context_variables_reach_the_handler_from_middleware(memory: str) -> None:
    worker = Worker(memory)
    seen: list[str] = []

    @worker.use
    async def name(ctx: Context, call_next: object) -> None:
        NAME.set(f"job {ctx.id}")
        await call_next()  # type: ignore[operator]  # it is one of CallNext

    @worker.implement(anything)
    def in_thread(data: object) -> None:
        seen.append(NAME.get())

    @worker.implement(double)
    async def in_loop(data: int) -> int:
        seen.append(NAME.get())
        return data

    async with worker:
        one = await worker.register(anything).dispatch(1)
        await one.result("5s")
        two = await worker.register(double).dispatch(1)
        await two.result("5s")
    assert seen == [f"job {one.id}", f"job {two.id}"]
    assert NAME.get() == "nobody"


async def test_raise_if_cancelled_does_nothing_until_the_attempt_should_stop() -> None:
    ctx, _ = context()
    ctx.raise_if_cancelled()
    assert not ctx.cancelled.is_set()
    ctx.raise_if_cancelled()
    ctx.cancelled.set("shutdown")
    with pytest.raises(JobCancelledError, match="shutdown"):
        ctx.raise_if_cancelled()


async def test_a_signal_can_be_awaited_by_many_and_waited_for_in_threads() -> None:
    signal = CancelSignal()

    async def follow() -> str | None:
        await signal
        return signal.reason

    waits = [asyncio.create_task(follow()) for _ in range(3)]
    threads = [asyncio.create_task(asyncio.to_thread(signal.wait, 10)) for _ in range(2)]
    impatient = asyncio.create_task(follow())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    signal.set("cancelled")
    assert await asyncio.gather(*waits) == ["cancelled"] * 3
    assert await asyncio.gather(*threads) == [True, True]
    await signal
    assert signal.wait()
    assert signal.is_set()


async def test_waiting_for_a_signal_may_have_an_end() -> None:
    signal = CancelSignal()
    assert signal.wait(0.001) is False
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await signal
    assert signal._futures == []


def test_everybody_who_asks_first_gets_the_same_signal() -> None:
    for _ in range(50):
        ctx, _ = context()
        found: list[CancelSignal] = []
        line = threading.Barrier(4)

        def ask(ctx: Context = ctx, line: threading.Barrier = line, found: list[CancelSignal] = found) -> None:
            line.wait()
            found.append(ctx.cancelled)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(signal) for signal in found}) == 1


async def test_an_error_of_a_report_does_not_keep_the_job_from_ending(memory: str) -> None:
    worker = Worker(memory)

    @worker.implement(anything)
    async def handle(data: object, ctx: Context) -> None:
        ctx.progress(float("nan"))
        ctx.progress("\ud800")
        ctx.log.error("\ud800", nan=float("nan"), bad={1, 2})
        raise RuntimeError("the end")

    async with worker:
        with pytest.raises(JobFailedError, match="the end"):
            await (await worker.register(anything).dispatch(1)).result("5s")


class Port:
    """Keeps what a context reports."""

    def __init__(self) -> None:
        self.reports: list[tuple[ReportKind, bytes]] = []

    def report(self, kind: ReportKind, payload: bytes) -> None:
        self.reports.append((kind, payload))

    def heartbeat(self) -> None:
        return


def context(timeout_ms: int | None = 1000) -> tuple[Context, Port]:
    claim = Claim(job_id="j", token="t", data=b"1", version=1, attempt=1, timestamp_ms=0)
    port = Port()
    return Context(claim, port, task="work", max_attempts=1, timeout_ms=timeout_ms, claimed_ms=0), port
