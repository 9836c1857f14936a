"""`taskora dispatch`: what it enqueues, prints, and refuses, and how it ends."""

import asyncio
import io

import pytest
import redis

from taskora.contracts import Ttl, define_task
from taskora.worker import Context, Worker
from tests.cli.programs import Command
from tests.polling import aeventually


def test_it_prints_the_id_of_the_job_that_it_enqueued(command: Command) -> None:
    dispatched = command("dispatch", "greet", '{"name": "Ada"}')
    assert (dispatched.code, dispatched.err) == (0, "")
    job = command("job", dispatched.out.strip(), "--json").json
    assert (job["task"], job["state"], job["data"]) == ("greet", "waiting", {"name": "Ada"})


def test_a_dash_reads_the_payload_from_stdin(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("[1, 2]"))
    job_id = command("dispatch", "add", "-").out.strip()
    assert command("job", job_id, "--json").json["data"] == [1, 2]


def test_options_reach_the_job(command: Command) -> None:
    options = ("--job-id", "one", "--delay", "90", "--priority", "7")
    assert command("dispatch", "add", "1", *options).out == "one\n"
    job = command("job", "one", "--json").json
    assert (job["state"], job["priority"]) == ("delayed", 7)


def test_dispatching_an_id_again_says_that_nothing_was_dispatched(command: Command) -> None:
    command("dispatch", "add", "1", "--job-id", "one")
    again = command("dispatch", "add", "2", "--job-id", "one")
    assert (again.code, again.out) == (0, "one\n")
    assert again.err == "job one exists already: nothing was dispatched\n"


def test_jobs_of_another_prefix_are_not_there(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKORA_PREFIX", "elsewhere")
    command("dispatch", "add", "1", "--job-id", "one")
    monkeypatch.delenv("TASKORA_PREFIX")
    assert command("job", "one").code == 4
    assert command("job", "one", "--prefix", "elsewhere").code == 0


async def test_waiting_prints_the_result_as_json(command: Command) -> None:
    async with Worker(command.url) as worker_of_nothing:
        assert worker_of_nothing.implementations == {}
    worker = Worker(command.url)

    @worker.task("add")
    async def add(numbers: list[int]) -> dict[str, int]:
        return {"sum": sum(numbers)}

    async with worker:
        ended = await asyncio.to_thread(command, "dispatch", "add", "[1, 2]", "--wait", "--timeout", "20")
    assert (ended.code, ended.json) == (0, {"sum": 3})
    assert ended.err.startswith("job ")


async def test_a_failed_job_ends_with_code_1_and_its_error(command: Command) -> None:
    worker = Worker(command.url)

    @worker.task("fail")
    async def fail(data: int) -> None:
        raise ValueError("first line\nsecond line")

    async with worker:
        ended = await asyncio.to_thread(command, "dispatch", "fail", "1", "--wait", "--timeout", "20")
    assert (ended.code, ended.out) == (1, "")
    assert "failed after 1 attempt: first line; second line" in ended.err
    assert len(ended.err.splitlines()) == 2


async def test_a_cancelled_job_ends_with_code_1_and_the_reason(command: Command) -> None:
    worker = Worker(command.url)

    @worker.task("forever")
    async def forever(data: int, ctx: Context) -> None:
        await asyncio.Event().wait()

    async with worker:
        waiting = asyncio.create_task(
            asyncio.to_thread(command, "dispatch", "forever", "1", "--wait", "--job-id", "one", "--timeout", "20")
        )
        handle = worker.producer.register(forever.contract).job("one")
        await aeventually(lambda: handle.cancel(reason="enough"))
        ended = await waiting
    assert ended.code == 1
    assert "was cancelled: enough" in ended.err


async def test_an_expired_job_ends_with_code_1(command: Command) -> None:
    contract = define_task("late", input=int, ttl=Ttl(max="1ms"))
    worker = Worker(command.url)

    @worker.implement(contract)
    async def late(data: int) -> None: ...

    handle = await worker.producer.register(contract).dispatch(1)
    async with worker:
        with pytest.raises(Exception, match="expired"):
            await handle.result(timeout="20s")
        ended = await asyncio.to_thread(command, "dispatch", "late", "1", "--job-id", handle.id, "--wait")
    assert ended.code == 1
    assert "expired" in ended.err


def test_a_wait_that_times_out_ends_with_code_5_and_leaves_the_job(command: Command) -> None:
    ended = command("dispatch", "add", "1", "--job-id", "one", "--wait", "--timeout", "10ms")
    assert (ended.code, ended.out) == (5, "")
    assert "did not complete within 10ms; the job goes on" in ended.err
    assert command("job", "one", "--json").json["state"] == "waiting"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", '{"a":'), "JSON must be valid, got '{\"a\":': Expecting value at line 1, column 6"),
        (("add", "{}\n  x"), "Extra data at line 2, column 3"),
        (("add", "[NaN]"), "JSON must not hold NaN"),
        pytest.param(("add", "[" * 100_000), "JSON must be nested less deeply", id="deep"),
        (("no spaces", "1"), "name must be 1 to 128 characters out of A-Z a-z 0-9 . _ -, got 'no spaces'"),
        (("add", "1", "--priority", "901"), "priority must be"),
        (("add", "1", "--delay", "soon"), "delay must be"),
        (("add", "1", "--job-id", "a b"), "job_id must be"),
        (("add", "1", "--timeout", "5s"), "--timeout is how long --wait waits"),
        (("add", "1", "--prefix", "{x}"), "prefix must"),
        (("add",), "Missing argument 'JSON'; see taskora dispatch --help"),
        (("add", "1", "--nope"), "No such option: --nope; see taskora dispatch --help"),
    ],
)
def test_a_mistake_is_refused_with_code_2_in_one_line(
    command: Command, redis_raw: redis.Redis, arguments: tuple[str, ...], message: str
) -> None:
    refused = command("dispatch", *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err
    assert refused.err.startswith("error: ")
    assert len(refused.err.splitlines()) == 1
    assert redis_raw.keys("*:waiting") == []
