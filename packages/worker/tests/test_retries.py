import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from packages.worker.tests.workbench import double, find, reach
from taskora.contracts import (
    JobFailedError,
    JobState,
    JobTimeoutError,
    Retry,
    RetryError,
    ValidationError,
    define_task,
)
from taskora.producer import RetryingEvent
from taskora.worker import Context, Worker
from taskora.worker._outcomes import error_text

QUICK = Retry(attempts=3, backoff="fixed", delay="10ms", jitter=False)


class OddError(Exception):
    """For filters."""


class Handler:
    """Fails as often as it is told to, and counts."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = [*errors]
        self.attempts: list[int] = []

    async def __call__(self, data: int, ctx: Context) -> int:
        self.attempts.append(ctx.attempt)
        assert ctx.max_attempts >= ctx.attempt
        if len(self.attempts) <= len(self.errors):
            raise self.errors[len(self.attempts) - 1]
        return data


async def outcome(url: str, handler: Callable[..., Any], retry: Retry | None) -> str:
    """Runs one job; what became of it."""
    worker = Worker(url)
    worker.implement(double, handler, retry=retry)
    async with worker:
        job = await worker.register(double).dispatch(7)
        try:
            return f"completed: {await job.result('10s')}"
        except JobFailedError as error:
            return f"failed: {error.error}"


async def test_a_job_that_failed_twice_completes_at_its_third_attempt(url: str) -> None:
    handler = Handler(OddError("1"), OddError("2"))
    assert await outcome(url, handler, QUICK) == "completed: 7"
    assert handler.attempts == [1, 2, 3]


async def test_when_its_attempts_are_spent_a_job_fails_with_its_last_error(url: str) -> None:
    handler = Handler(OddError("1"), OddError("2"), OddError("3"), OddError("4"))
    assert await outcome(url, handler, QUICK) == "failed: 3"
    assert handler.attempts == [1, 2, 3]


async def test_nothing_is_retried_unless_it_is_asked_for(url: str) -> None:
    handler = Handler(OddError("1"))
    assert await outcome(url, handler, None) == "failed: 1"
    assert handler.attempts == [1]


FILTERS: list[tuple[dict[str, Any], BaseException, int]] = [
    ({}, OddError("x"), 3),
    ({"retry_on": (OddError,)}, OddError("x"), 3),
    ({"retry_on": (OddError,)}, KeyError("x"), 1),
    ({"retry_on": (LookupError,)}, KeyError("x"), 3),
    ({"retry_on": ("OddError",)}, OddError("x"), 3),
    ({"retry_on": ("OtherError",)}, OddError("x"), 1),
    ({"no_retry_on": (OddError,)}, OddError("x"), 1),
    ({"no_retry_on": ("OddError",)}, OddError("x"), 1),
    ({"no_retry_on": (f"{__name__}.OddError",)}, OddError("x"), 1),
    ({"no_retry_on": (KeyError,)}, OddError("x"), 3),
    ({"retry_on": (OddError,), "no_retry_on": (OddError,)}, OddError("x"), 1),
    ({}, JobTimeoutError(job_id="x", timeout_ms=1), 1),
    ({"retry_on": (JobTimeoutError,)}, JobTimeoutError(job_id="x", timeout_ms=1), 3),
    ({}, ValidationError(issues=()), 1),
    ({"retry_on": ("ValidationError",)}, ValidationError(issues=()), 3),
    ({"retry_on": (KeyError,)}, RetryError(reason="x"), 3),
    ({"no_retry_on": (RetryError,)}, RetryError(reason="x"), 3),
    ({}, asyncio.CancelledError("raised by the handler itself"), 3),
    ({}, SystemExit(3), 3),
    ({}, KeyboardInterrupt(), 3),
    ({}, StopIteration(), 3),
]


@pytest.mark.parametrize(("filters", "error", "runs"), FILTERS, ids=range(len(FILTERS)))
async def test_filters_decide_what_is_retried(
    memory: str, filters: dict[str, Any], error: BaseException, runs: int
) -> None:
    handler = Handler(error, error, error)
    retry = Retry(attempts=3, backoff="fixed", delay="1ms", jitter=False, **filters)
    assert (await outcome(memory, handler, retry)).startswith("failed: ")
    assert len(handler.attempts) == runs


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), StopIteration("x"), OddError("x")], ids=range(4))
async def test_what_a_thread_raises_fails_the_job_and_nothing_else(memory: str, error: BaseException) -> None:
    worker = Worker(memory)

    @worker.implement(double)
    def handle(data: int) -> int:
        if data:
            raise error
        return data

    async with worker:
        task = worker.register(double)
        with pytest.raises(JobFailedError):
            await (await task.dispatch(1)).result("5s")
        assert await (await task.dispatch(0)).result("5s") == 0


async def test_ctx_retry_brings_its_own_delay(url: str) -> None:
    slow = Retry(attempts=2, backoff="fixed", delay="1h", jitter=False, retry_on=(KeyError,))
    worker = Worker(url)

    @worker.implement(double, retry=slow)
    async def handle(data: int, ctx: Context) -> int:
        if ctx.attempt == 1:
            raise ctx.retry(delay="5ms", reason="not yet")
        return data

    async with worker:
        assert await (await worker.register(double).dispatch(3)).result("5s") == 3


async def test_ctx_retry_without_a_delay_waits_for_the_backoff(url: str) -> None:
    worker = Worker(url)

    @worker.implement(double, retry=Retry(attempts=2, backoff="fixed", delay="1h", jitter=False))
    async def handle(data: int, ctx: Context) -> int:
        raise ctx.retry(reason="not yet")

    async with worker:
        job = await worker.register(double).dispatch(3)
        info = await reach(worker, job.id, JobState.RETRYING)
    assert (info.error, info.attempt) == ("Retry requested after its backoff: not yet", 2)


async def test_a_retry_error_can_be_raised_directly(url: str) -> None:
    handler = Handler(RetryError(delay="1ms"))
    assert await outcome(url, handler, Retry(attempts=2, delay="1h")) == "completed: 7"


async def test_a_retry_error_counts_attempts_too(url: str) -> None:
    handler = Handler(RetryError(delay=0, reason="a"), RetryError(delay=0, reason="b"), RetryError(delay=0, reason="c"))
    assert await outcome(url, handler, Retry(attempts=2)) == "failed: Retry requested in 0s: b"
    assert handler.attempts == [1, 2]


def sevenfold(attempt: int) -> str:
    return f"{attempt * 7}ms"


def no_duration(attempt: int) -> str:
    return "soon"


def raising(attempt: int) -> int:
    return attempt // 0


BACKOFFS: list[tuple[dict[str, Any], list[int]]] = [
    ({"backoff": "fixed", "delay": "20ms"}, [20, 20, 20]),
    ({"backoff": "exponential", "delay": "20ms"}, [20, 40, 80]),
    ({"backoff": "linear", "delay": "20ms"}, [20, 40, 60]),
    ({"backoff": sevenfold}, [7, 14, 21]),
    ({"backoff": "exponential", "delay": "20ms", "max_delay": "30ms"}, [20, 30, 30]),
]


@pytest.mark.parametrize(("options", "delays"), BACKOFFS, ids=range(len(BACKOFFS)))
async def test_the_delay_of_a_retry_follows_its_backoff(
    memory: str, options: dict[str, Any], delays: list[int]
) -> None:
    worker = Worker(memory)
    retry = Retry(attempts=4, jitter=False, **options)
    worker.implement(double, Handler(*(OddError("x") for _ in range(3))), retry=retry)
    seen: list[int] = []

    @worker.on("task:retrying")
    def keep(event: RetryingEvent) -> None:
        seen.append(event.next_attempt_ms - event.timestamp_ms)

    async with worker:
        await (await worker.register(double).dispatch(1)).result("5s")
    assert [abs(got - wanted) <= 1 for got, wanted in zip(seen, delays, strict=True)] == [True] * 3


async def test_jitter_stays_within_a_quarter_of_the_delay(memory: str) -> None:
    worker = Worker(memory)
    retry = Retry(attempts=21, backoff="fixed", delay="20ms")
    worker.implement(double, Handler(*(OddError("x") for _ in range(20))), retry=retry)
    seen: list[int] = []

    @worker.on("task:retrying")
    def keep(event: RetryingEvent) -> None:
        seen.append(event.next_attempt_ms - event.timestamp_ms)

    async with worker:
        await (await worker.register(double).dispatch(1)).result("10s")
    assert len(set(seen)) > 1
    assert all(14 <= delay <= 26 for delay in seen)


@pytest.mark.parametrize("backoff", [no_duration, raising])
async def test_a_backoff_that_fails_falls_back_on_the_delay(memory: str, backoff: Callable[[int], Any]) -> None:
    handler = Handler(OddError("x"))
    assert await outcome(memory, handler, Retry(attempts=2, backoff=backoff, delay="1ms")) == "completed: 7"


async def test_between_attempts_a_job_is_retrying(url: str) -> None:
    patient = define_task("patient", input=int, output=int, retry=Retry(attempts=5, delay="1h", jitter=False))
    worker = Worker(url)
    worker.implement(patient, Handler(OddError("first")))
    async with worker:
        job = await worker.register(patient).dispatch(1)
        info = await reach(worker, job.id, JobState.RETRYING)
        assert (info.attempt, info.max_attempts, info.error) == (2, 5, "first")
        assert info.fields["maxAttempts"] == b"5"
        stats = (await worker.producer.inspector.stats(patient))["patient"]
        assert (stats.delayed, stats.active) == (1, 0)


async def test_a_failed_job_keeps_its_data_and_waits_for_a_decision(url: str) -> None:
    handler = Handler(OddError("first"))
    worker = Worker(url)
    worker.implement(double, handler)
    async with worker:
        job = await worker.register(double).dispatch(7)
        with pytest.raises(JobFailedError):
            await job.result("5s")
        info = await find(worker, job.id)
        assert (info.state, info.data, info.error, info.attempt) == (JobState.FAILED, 7, "first", 1)
        assert [dead.id for dead in await worker.producer.dead_letters.list()] == [job.id]
        assert await worker.producer.dead_letters.retry(job.id)
        assert await job.result("5s") == 7
    assert handler.attempts == [1, 1]


class SilentError(Exception):
    """Cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


ERROR_TEXTS: list[tuple[BaseException, str]] = [
    (KeyError("name"), "'name'"),
    (OddError(), "OddError"),
    (SilentError(), "SilentError"),
    (OddError("caf\u00e9"), "caf\u00e9"),
]


@pytest.mark.parametrize(("error", "text"), ERROR_TEXTS, ids=range(len(ERROR_TEXTS)))
async def test_the_stored_error_says_what_there_is_to_say(url: str, error: BaseException, text: str) -> None:
    assert await outcome(url, Handler(error), None) == f"failed: {text}"


async def test_a_very_long_error_is_cut(url: str) -> None:
    text = await outcome(url, Handler(OddError("x" * 100_000)), None)
    assert text.endswith("xxx... (83616 more characters)")
    assert len(text) < 20_000


def test_text_that_is_no_unicode_is_stored_escaped() -> None:
    assert error_text(OddError("\ud800")) == rb"\ud800"
