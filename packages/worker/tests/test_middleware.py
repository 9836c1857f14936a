from typing import Any

import pytest

from packages.worker.tests.workbench import anything, double, find
from taskora.contracts import JobFailedError, JobState, Retry, UsageError
from taskora.worker import CallNext, Context, Middleware, Worker


def tracing(name: str, trace: list[str]) -> Middleware:
    async def layer(ctx: Context, call_next: CallNext) -> None:
        trace.append(f"{name} in")
        await call_next()
        trace.append(f"{name} out")

    return layer


async def run(worker: Worker, data: int = 3) -> int:
    async with worker:
        return await (await worker.register(double).dispatch(data)).result("5s")


async def test_the_worker_wraps_the_task_and_the_task_wraps_the_handler(url: str) -> None:
    trace: list[str] = []
    worker = Worker(url, middleware=[tracing("worker 1", trace)])
    worker.use(tracing("worker 2", trace))

    @worker.implement(double, middleware=[tracing("task 1", trace), tracing("task 2", trace)])
    async def handle(data: int) -> int:
        trace.append("handler")
        return data

    worker.use(tracing("worker 3", trace))
    assert await run(worker) == 3
    layers = ["worker 1", "worker 2", "worker 3", "task 1", "task 2"]
    into = [f"{layer} in" for layer in layers]
    assert trace == [*into, "handler", *(f"{layer} out" for layer in reversed(layers))]


async def test_middleware_of_a_task_does_not_wrap_others(url: str) -> None:
    trace: list[str] = []
    worker = Worker(url)
    worker.use(tracing("worker", trace))

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data

    @worker.implement(anything, middleware=(tracing("task", trace),))
    async def other(data: object) -> None:
        return None

    assert await run(worker) == 3
    assert trace == ["worker in", "worker out"]


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_middleware_may_change_data_and_result(url: str, kind: str) -> None:
    worker = Worker(url)

    @worker.use
    async def outer(ctx: Context, call_next: CallNext) -> None:
        returned = await call_next()
        assert returned == ctx.result == 60
        ctx.result = 61

    @worker.use
    async def inner(ctx: Context, call_next: CallNext) -> None:
        assert ctx.data == 3
        ctx.data = 30
        await call_next()
        assert ctx.result == 60

    async def in_loop(data: int) -> int:
        return data * 2

    def in_thread(data: int) -> int:
        return data * 2

    if kind == "async":
        worker.implement(double, in_loop)
    else:
        worker.implement(double, in_thread)
    assert await run(worker) == 61


async def test_middleware_may_answer_instead_of_the_handler(url: str) -> None:
    worker = Worker(url)

    @worker.use
    async def cache(ctx: Context, call_next: CallNext) -> None:
        ctx.result = 99

    @worker.implement(double)
    async def handle(data: int) -> int:
        raise AssertionError("not to be called")

    assert await run(worker) == 99


async def test_an_error_of_middleware_fails_the_job(url: str) -> None:
    worker = Worker(url)

    @worker.use
    async def check(ctx: Context, call_next: CallNext) -> None:
        await call_next()
        raise PermissionError("not on a Sunday")

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data

    with pytest.raises(JobFailedError, match="not on a Sunday"):
        await run(worker)


async def test_middleware_may_translate_errors_and_policy_judges_the_translation(url: str) -> None:
    worker = Worker(url)
    attempts: list[int] = []

    @worker.use
    async def translate(ctx: Context, call_next: CallNext) -> None:
        attempts.append(ctx.attempt)
        try:
            await call_next()
        except KeyError as error:
            raise ConnectionError("translated") from error

    @worker.implement(double, retry=Retry(attempts=2, delay="1ms", retry_on=(ConnectionError,)))
    async def handle(data: int) -> int:
        raise KeyError("original")

    with pytest.raises(JobFailedError, match="translated"):
        await run(worker)
    assert attempts == [1, 2]


async def test_middleware_may_swallow_an_error(url: str) -> None:
    worker = Worker(url)

    @worker.use
    async def forgive(ctx: Context, call_next: CallNext) -> None:
        try:
            await call_next()
        except KeyError:
            ctx.result = -1

    @worker.implement(double)
    async def handle(data: int) -> int:
        raise KeyError("original")

    assert await run(worker) == -1


async def test_a_wrong_result_of_middleware_is_no_result(url: str) -> None:
    worker = Worker(url)

    @worker.use
    async def spoil(ctx: Context, call_next: CallNext) -> None:
        await call_next()
        ctx.result = "many"

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data

    with pytest.raises(JobFailedError, match="Validation failed for the output"):
        await run(worker)


async def test_the_handler_is_called_once_per_attempt(url: str) -> None:
    worker = Worker(url)

    @worker.use
    async def twice(ctx: Context, call_next: CallNext) -> None:
        await call_next()
        await call_next()

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data

    with pytest.raises(JobFailedError, match="call_next at most once"):
        await run(worker)


async def test_middleware_is_not_added_to_a_worker_that_has_started(memory: str) -> None:
    worker = Worker(memory)
    async with worker:
        with pytest.raises(UsageError, match="cannot add a middleware to a worker that has started"):
            worker.use(tracing("late", []))


async def test_only_functions_are_middleware(memory: str) -> None:
    wrong: Any = "log"
    with pytest.raises(UsageError, match="middleware must be an async function"):
        Worker(memory).use(wrong)


async def test_middleware_sees_which_job_it_wraps(url: str) -> None:
    worker = Worker(url)
    seen: list[tuple[str, str, int, int]] = []

    @worker.use
    async def look(ctx: Context, call_next: CallNext) -> None:
        seen.append((ctx.id, ctx.task, ctx.attempt, ctx.max_attempts))
        await call_next()

    @worker.implement(double, retry=Retry(attempts=2, delay="1ms"))
    async def handle(data: int, ctx: Context) -> int:
        if ctx.attempt == 1:
            raise KeyError("first")
        return data

    async with worker:
        job = await worker.register(double).dispatch(3)
        assert await job.result("5s") == 3
        assert (await find(worker, job.id)).state is JobState.COMPLETED
    assert seen == [(job.id, "double", 1, 2), (job.id, "double", 2, 2)]
