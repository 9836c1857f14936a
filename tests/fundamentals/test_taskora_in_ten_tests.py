"""Read this first: what taskora does, from the first job to a shutdown, one thing per test.

`memory://` keeps jobs in this process. Replace it by `redis://localhost:6379` and nothing else changes.
"""

import asyncio
import uuid
from dataclasses import dataclass

import pytest

from taskora.contracts import JobCancelledError, JobFailedError, JobState, Retry, ValidationError, define_task
from taskora.producer import AsyncProducer, CompletedEvent, Producer
from taskora.worker import CallNext, Context, Worker


@dataclass
class Email:
    to: str
    subject: str = "Hello"


@dataclass
class Sent:
    message_id: str


# A contract is all that services share. It imports no handler, and needs nothing but the standard library.
send_email = define_task("send-email", input=Email, output=Sent)


@pytest.fixture
def url() -> str:
    return f"memory://{uuid.uuid4().hex}"


async def test_a_producer_dispatches_a_job_and_a_worker_runs_it(url: str) -> None:
    worker = Worker(url)

    @worker.implement(send_email)
    async def handle(data: Email) -> Sent:
        return Sent(message_id=f"to-{data.to}")

    async with worker, AsyncProducer(url) as producer:
        job = await producer.register(send_email).dispatch(Email(to="a@b.c"))
        sent = await job.result(timeout="5s")
    assert sent == Sent(message_id="to-a@b.c")


async def test_code_without_an_event_loop_dispatches_just_as_well(url: str) -> None:
    worker = Worker(url)

    @worker.implement(send_email)
    def handle(data: Email) -> Sent:  # a plain function runs in a thread
        return Sent(message_id="1")

    def web_request() -> str:
        with Producer(url) as producer:
            return producer.register(send_email).dispatch(Email(to="a@b.c")).result(timeout="5s").message_id

    async with worker:
        assert await asyncio.to_thread(web_request) == "1"


async def test_what_does_not_fit_the_contract_is_refused_before_it_is_sent(url: str) -> None:
    async with AsyncProducer(url) as producer:
        task = producer.register(send_email)
        with pytest.raises(ValidationError, match=r"to: .*valid string"):
            await task.dispatch(Email(to=42))  # type: ignore[arg-type]  # mypy and pyright refuse it, too


async def test_a_job_waits_until_a_worker_comes(url: str) -> None:
    async with AsyncProducer(url) as producer:
        job = await producer.register(send_email).dispatch(Email(to="a@b.c"))
        assert await job.state() is JobState.WAITING
        worker = Worker(url)

        @worker.implement(send_email)
        async def handle(data: Email) -> Sent:
            return Sent(message_id="1")

        async with worker:
            assert (await job.result(timeout="5s")).message_id == "1"
        assert await job.state() is JobState.COMPLETED


async def test_a_failed_attempt_is_repeated_as_the_policy_says(url: str) -> None:
    worker = Worker(url)

    @worker.implement(send_email, retry=Retry(attempts=3, backoff="fixed", delay="10ms"))
    async def handle(data: Email, ctx: Context) -> Sent:
        if ctx.attempt < 3:
            raise ConnectionError("the mail server is away")
        return Sent(message_id=f"sent at attempt {ctx.attempt} of {ctx.max_attempts}")

    async with worker:
        job = await worker.register(send_email).dispatch(Email(to="a@b.c"))
        assert (await job.result(timeout="5s")).message_id == "sent at attempt 3 of 3"


async def test_a_job_that_fails_for_good_is_kept_and_can_be_retried_by_hand(url: str) -> None:
    worker = Worker(url)
    mail_server: list[str] = []

    @worker.implement(send_email)
    async def handle(data: Email) -> Sent:
        return Sent(message_id=mail_server.pop())

    async with worker:
        job = await worker.register(send_email).dispatch(Email(to="a@b.c"))
        with pytest.raises(JobFailedError, match="pop from empty list"):
            await job.result(timeout="5s")
        (dead,) = await worker.producer.dead_letters.list()
        mail_server.append("repaired")
        assert await worker.producer.dead_letters.retry(dead.id)
        assert (await job.result(timeout="5s")).message_id == "repaired"


async def test_a_handler_reports_what_it_does_and_listeners_hear_how_it_ends(url: str) -> None:
    worker = Worker(url)
    heard: asyncio.Queue[CompletedEvent[Sent]] = asyncio.Queue()

    @worker.implement(send_email)
    async def handle(data: Email, ctx: Context) -> Sent:
        ctx.log.info("connecting", server="mail.example")
        ctx.progress({"sent": 1, "of": 1})
        return Sent(message_id="1")

    @worker.register(send_email).on("completed")
    def remember(event: CompletedEvent[Sent]) -> None:
        heard.put_nowait(event)

    async with worker:
        job = await worker.register(send_email).dispatch(Email(to="a@b.c"))
        event = await heard.get()
        assert (event.job_id, event.result, event.attempt) == (job.id, Sent(message_id="1"), 1)
        assert await job.progress() == {"sent": 1, "of": 1}
        assert [(entry.level, entry.message) for entry in await job.logs()] == [("info", "connecting")]


async def test_a_running_job_can_be_cancelled(url: str) -> None:
    worker = Worker(url)
    begun, cleaned_up = asyncio.Event(), asyncio.Event()

    async def clean_up(data: Email, ctx: Context) -> None:
        cleaned_up.set()

    @worker.implement(send_email, on_cancel=clean_up)
    async def handle(data: Email) -> Sent:
        begun.set()
        await asyncio.sleep(3600)
        return Sent(message_id="never")

    async with worker:
        job = await worker.register(send_email).dispatch(Email(to="a@b.c"))
        await begun.wait()
        await job.cancel(reason="wrong address")
        with pytest.raises(JobCancelledError, match="wrong address"):
            await job.result(timeout="5s")
        assert cleaned_up.is_set()


async def test_middleware_wraps_every_handler(url: str) -> None:
    worker = Worker(url)
    seen: list[str] = []

    @worker.use
    async def trace(ctx: Context, call_next: CallNext) -> None:
        seen.append(f"{ctx.task} begins")
        await call_next()
        seen.append(f"{ctx.task} gave {ctx.result}")

    @worker.task("greet")  # a contract made from the annotations of the function
    async def greet(name: str) -> str:
        return f"hello {name}"

    async with worker:
        assert await (await greet.dispatch("you")).result(timeout="5s") == "hello you"
    assert seen == ["greet begins", "greet gave hello you"]


async def test_a_worker_that_closes_gives_unfinished_jobs_back(url: str) -> None:
    begun = asyncio.Event()

    async def slow(data: Email) -> Sent:
        begun.set()
        await asyncio.sleep(3600)
        return Sent(message_id="never")

    first, second = Worker(url), Worker(url)
    first.implement(send_email, slow)
    await first.start()
    async with AsyncProducer(url) as producer:
        job = await producer.register(send_email).dispatch(Email(to="a@b.c"))
        await begun.wait()
        await first.close(timeout="10ms")
        assert await job.state() is JobState.WAITING

        @second.implement(send_email)
        async def quick(data: Email, ctx: Context) -> Sent:
            return Sent(message_id=f"attempt {ctx.attempt}")

        async with second:
            assert (await job.result(timeout="5s")).message_id == "attempt 1"  # none was spent
