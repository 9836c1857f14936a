import asyncio
import logging
from typing import Any

import pytest

from packages.worker.tests.workbench import QUICK_SWEEPS, Meddler, anything, claim_like_a_lost_worker, double
from taskora.contracts import JobFailedError, Retry, UsageError, define_task
from taskora.producer import (
    ActiveEvent,
    AnyJobEvent,
    CancelledEvent,
    CompletedEvent,
    ExpiredEvent,
    FailedEvent,
    JobEvent,
    ProgressEvent,
    RetryingEvent,
)
from taskora.wire import Exchange, Operation
from taskora.wire.backends import open_backend
from taskora.worker import Context, Worker, WorkerEvent
from tests.polling import aeventually

KINDS = ("active", "progress", "completed", "failed", "retrying", "stalled", "cancelled", "expired")
QUICK = Retry(attempts=3, backoff="fixed", delay="5ms", jitter=False)


def listen(worker: Worker, *kinds: str) -> list[AnyJobEvent[Any]]:
    """Everything that listeners of these kinds hear, in order."""
    heard: list[AnyJobEvent[Any]] = []
    for kind in kinds:
        name: Any = f"task:{kind}"
        worker.on(name)(heard.append)
    return heard


def kinds_of(heard: list[AnyJobEvent[Any]], job_id: str) -> list[str]:
    return [event.kind for event in heard if event.job_id == job_id]


async def test_a_completed_job_tells_its_result_its_attempt_and_how_long_it_took(url: str) -> None:
    worker = Worker(url)
    heard: list[CompletedEvent[int]] = []

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data * 2

    worker.register(double).on("completed")(heard.append)
    async with worker:
        job = await worker.register(double).dispatch(2)
        await aeventually(lambda: len(heard) == 1)
    (event,) = heard
    assert (event.task, event.job_id, event.result, event.attempt) == ("double", job.id, 4, 1)
    assert event.duration_ms is not None
    assert event.duration_ms >= 0
    assert event.timestamp_ms > 1_600_000_000_000


async def test_a_retry_is_two_events_and_a_final_failure_one(url: str) -> None:
    worker = Worker(url)
    heard = listen(worker, *KINDS)

    @worker.implement(double, retry=Retry(attempts=2, backoff="fixed", delay="5ms"))
    async def handle(data: int, ctx: Context) -> int:
        raise KeyError(f"attempt {ctx.attempt}")

    async with worker:
        job = await worker.register(double).dispatch(2)
        await aeventually(lambda: len(heard) == 5)
    shown = [
        (event.kind, event.attempt, getattr(event, "error", ""), getattr(event, "will_retry", None))
        for event in heard
        if isinstance(event, ActiveEvent | FailedEvent | RetryingEvent)
    ]
    assert shown == [
        ("active", 1, "", None),
        ("failed", 1, "'attempt 1'", True),
        ("retrying", 2, "'attempt 1'", None),
        ("active", 2, "", None),
        ("failed", 2, "'attempt 2'", False),
    ]
    assert {event.job_id for event in heard} == {job.id}
    (retrying,) = [event for event in heard if isinstance(event, RetryingEvent)]
    assert retrying.next_attempt_ms >= retrying.timestamp_ms


async def test_the_events_of_a_job_come_in_order_and_end_with_its_end(url: str) -> None:
    worker = Worker(url)
    heard = listen(worker, *KINDS)

    @worker.implement(double, retry=QUICK, concurrency=3)
    async def handle(data: int, ctx: Context) -> int:
        ctx.progress(50)
        ctx.progress(100)
        if data == 1 or (data == 2 and ctx.attempt == 1):
            raise ctx.retry() if data == 2 else KeyError("for good")
        return data

    async with worker:
        task = worker.register(double)
        good, bad, better = [await task.dispatch(number) for number in range(3)]
        await aeventually(lambda: kinds_of(heard, bad.id)[-3:] == ["progress", "progress", "failed"])
        await aeventually(lambda: "completed" in kinds_of(heard, better.id))
        await aeventually(lambda: "completed" in kinds_of(heard, good.id))
    once = ["active", "progress", "progress"]
    again = [*once, "failed", "retrying"]
    assert kinds_of(heard, good.id) == [*once, "completed"]
    assert kinds_of(heard, better.id) == [*again, *once, "completed"]
    assert kinds_of(heard, bad.id) == [*again, *again, *once, "failed"]
    assert [event.value for event in heard if isinstance(event, ProgressEvent) and event.job_id == good.id] == [50, 100]


async def test_a_worker_hears_of_all_its_tasks_and_a_task_of_itself(url: str) -> None:
    worker = Worker(url)
    of_all: list[CompletedEvent[object]] = []
    of_double: list[CompletedEvent[int]] = []
    worker.on("task:completed")(of_all.append)

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data

    @worker.implement(anything)
    async def other(data: object) -> None:
        return None

    worker.register(double).on("completed")(of_double.append)
    async with worker:
        await worker.register(double).dispatch(1)
        await worker.register(anything).dispatch(1)
        await aeventually(lambda: sorted(event.task for event in of_all) == ["anything", "double"])
        await aeventually(lambda: [event.task for event in of_double] == ["double"])


async def test_every_worker_hears_of_jobs_that_another_one_runs(url: str) -> None:
    runner, listener, producer_only = Worker(url), Worker(url), Worker(url)

    @runner.implement(double)
    async def handle(data: int) -> int:
        return data * 2

    heard: list[CompletedEvent[int]] = []
    told: list[CompletedEvent[object]] = []
    listener.register(double).on("completed")(heard.append)
    producer_only.register(double)
    producer_only.on("task:completed")(told.append)
    async with runner, listener, producer_only:
        await runner.register(double).dispatch(4)
        await aeventually(lambda: [event.result for event in heard] == [8])
        await aeventually(lambda: [event.result for event in told] == [8])


@pytest.mark.parametrize("first", ["with a listener before", "without"])
async def test_listeners_and_tasks_may_come_after_the_start(url: str, first: str) -> None:
    worker = Worker(url)
    early = listen(worker, "completed") if first == "with a listener before" else []
    heard: list[JobEvent] = []

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data * 2

    @worker.implement(anything)
    async def run(data: object) -> None:
        return None

    async with worker:
        await (await worker.register(double).dispatch(0)).result("5s")
        worker.on("task:completed")(heard.append)
        later = worker.register(define_task("later", input=None))
        later.on("waiting")(heard.append)
        await later.dispatch(None)
        await worker.register(double).dispatch(1)
        await worker.register(anything).dispatch(1)
        wanted = {"anything", "double", "later"}
        await aeventually(lambda: {event.task for event in heard} == wanted)
    assert (len(early) > 0) is (first == "with a listener before")


async def test_only_what_was_asked_for_is_heard(url: str) -> None:
    worker = Worker(url)
    wrong: list[object] = []
    right: list[object] = []
    worker.on("task:failed")(wrong.append)
    worker.register(anything).on("completed")(wrong.append)
    worker.on("task:completed")(right.append)

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data

    async with worker:
        await worker.register(double).dispatch(1)
        await aeventually(lambda: len(right) == 1)
    assert wrong == []


async def test_cancelled_and_expired_jobs_are_heard_of(url: str) -> None:
    worker = Worker(url)
    heard = listen(worker, "cancelled", "expired")
    task = worker.register(anything)
    async with worker:
        gone = await task.dispatch(1)
        await gone.cancel(reason="why not")
        await aeventually(lambda: [(event.kind, event.job_id) for event in heard] == [("cancelled", gone.id)])
    assert isinstance(heard[0], CancelledEvent)
    assert heard[0].reason == "why not"
    late = Worker(url)
    expired: list[ExpiredEvent] = []
    late.on("task:expired")(expired.append)

    @late.implement(anything)
    async def handle(data: object) -> None:
        return None

    stale = await late.register(anything).dispatch(1, ttl="1ms", delay="5ms")
    async with late:
        await aeventually(lambda: [event.job_id for event in expired] == [stale.id])


async def test_a_listener_that_fails_is_logged_and_the_others_are_called(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(url)
    heard: list[object] = []

    @worker.on("task:completed")
    def broken(event: object) -> None:
        raise RuntimeError("a broken listener")

    @worker.on("task:completed")
    async def slow_and_broken(event: object) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("another one")

    worker.on("task:completed")(heard.append)

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data

    async with worker:
        await worker.register(double).dispatch(1)
        await worker.register(double).dispatch(2)
        await aeventually(lambda: len(heard) == 2)
    assert caplog.messages.count("listener_failed") == 4
    assert "a broken listener" in caplog.text


async def test_a_worker_says_that_it_is_ready_and_that_it_closes(url: str) -> None:
    worker = Worker(url)
    heard: list[str] = []

    @worker.on("worker:ready")
    async def ready(event: WorkerEvent) -> None:
        heard.append(event.name)

    worker.on("worker:closing")(lambda event: heard.append(event.name))
    assert heard == []
    async with worker:
        assert heard == ["worker:ready"]
    assert heard == ["worker:ready", "worker:closing"]
    await worker.close()
    assert len(heard) == 2


async def test_a_worker_says_what_goes_wrong_in_the_background(memory: str) -> None:
    class Broken(Meddler):
        async def run(self, operation: Operation[Any]) -> Any:
            if isinstance(operation, Exchange) and self.calls["Exchange"] == 0:
                self.calls["Exchange"] += 1
                raise KeyError("not what anybody expects of a backend")
            return await super().run(operation)

    backend = Broken(open_backend(memory))
    worker = Worker(backend)
    heard: list[WorkerEvent] = []
    worker.on("worker:error")(heard.append)

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data * 2

    async with worker:
        assert await (await worker.register(double).dispatch(2)).result("5s") == 4
    await backend.close()
    assert [type(event.error) for event in heard] == [KeyError]


@pytest.mark.parametrize("event", ["task:done", "completed", "worker:failed", "", "task:"])
def test_an_event_that_does_not_exist_is_refused(event: Any) -> None:
    with pytest.raises(UsageError, match="event must be one of task:waiting"):
        Worker("memory://").on(event)


@pytest.mark.parametrize("event", ["task:completed", "done", "ready"])
def test_an_event_that_a_task_does_not_have_is_refused(event: Any) -> None:
    with pytest.raises(UsageError, match="event must be one of"):
        Worker("memory://").register(double).on(event)


def test_only_functions_listen() -> None:
    wrong: Any = "log"
    with pytest.raises(UsageError, match="listener of 'task:completed' must be a function"):
        Worker("memory://").on("task:completed")(wrong)


async def fail_for_good(worker: Worker) -> None:
    @worker.implement(double, retry=QUICK)
    async def handle(data: int) -> int:
        raise LookupError(f"no {data}")

    async with worker:
        with pytest.raises(JobFailedError):
            await (await worker.register(double).dispatch(9)).result("5s")


async def test_failures_that_nobody_listens_to_are_logged_with_their_traceback(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await fail_for_good(Worker(url))
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    texts = [record.getMessage() for record in records]
    assert [text.partition(" failed ")[2] for text in texts] == [
        "(attempt 1/3, will retry): no 9",
        "(attempt 2/3, will retry): no 9",
        "(attempt 3/3): no 9",
    ]
    assert all(text.startswith("task double job ") for text in texts)
    assert all(record.exc_info and record.exc_info[0] is LookupError for record in records)
    assert caplog.text.count('raise LookupError(f"no {data}")') == 3


@pytest.mark.parametrize("level", ["worker", "task"])
async def test_a_listener_for_failures_silences_the_log(url: str, level: str, caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(url)
    heard: list[FailedEvent] = []
    if level == "worker":
        worker.on("task:failed")(heard.append)
    else:
        worker.register(double).on("failed")(heard.append)
    await fail_for_good(worker)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_listener_of_another_task_does_not_silence_the_log(
    memory: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(memory)
    worker.register(anything).on("failed")(print)
    await fail_for_good(worker)
    assert "(attempt 3/3): no 9" in caplog.text


async def test_a_stall_is_heard_of_by_worker_and_task(url: str) -> None:
    worker = Worker(url, defaults=QUICK_SWEEPS)
    of_task: list[JobEvent] = []
    of_worker = listen(worker, "stalled")
    worker.register(double).on("stalled")(of_task.append)

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data

    job = await worker.register(double).dispatch(1)
    await claim_like_a_lost_worker(worker, "double")
    async with worker:
        assert await job.result("10s") == 1
        await aeventually(lambda: kinds_of(of_worker, job.id) == ["stalled"] and len(of_task) == 1)
