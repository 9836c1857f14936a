"""A server that reads its data is waited for, as long as for a reply, and named for what it does."""

import asyncio
import contextlib
import threading
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from taskora.contracts import BackendError
from taskora.wire import CountJobs, Enqueue, ExtendLeases, Keyspace, Lease, NewJob, Operation
from taskora.wire._flows import Pause, drive
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends import open_backend, open_sync_backend
from taskora.wire.backends._requests import HASTY_TIMEOUT, REPLY_TIMEOUT, Requests, carry_out, check_server
from tests import servers
from tests.fixtures import StartServer
from tests.polling import eventually
from tests.servers import Server

COUNT = CountJobs(task="t")
RENEWAL = ExtendLeases(task="t", lease_ms=1, leases=[Lease(job_id="j", token="t")])
LOADING = redis_errors.BusyLoadingError("Redis is loading the dataset in memory")
BROKEN = redis_errors.ConnectionError("the connection was closed")


class Answers:
    """Answers each request with the next error of a list, and the last one for ever."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.pauses: list[float] = []
        self.sent: list[tuple[Any, ...]] = []

    def perform(self, step: Any) -> Any:
        if isinstance(step, Pause):
            self.pauses.append(step.seconds)
            return None
        self.sent.append(step.args)
        raise self.errors[0] if len(self.errors) == 1 else self.errors.pop(0)

    def carry_out(self, operation: Operation[Any]) -> None:
        carry_out(operation, Requests(Keyspace(), None), self.perform)


@pytest.mark.parametrize(("operation", "seconds"), [(COUNT, REPLY_TIMEOUT), (RENEWAL, HASTY_TIMEOUT)])
def test_it_is_asked_for_as_long_as_for_a_reply(operation: Operation[Any], seconds: float) -> None:
    answers = Answers(LOADING)
    with pytest.raises(BackendError, match=r"the server is loading its data .*: wait until it has done so") as caught:
        answers.carry_out(operation)
    assert not caught.value.is_permanent
    assert sum(answers.pauses) == pytest.approx(seconds)
    assert max(answers.pauses) <= 0.5


def test_what_it_refused_was_not_carried_out_and_is_no_repetition() -> None:
    for first, is_repeated in ((LOADING, False), (BROKEN, True)):
        answers = Answers(first, LOADING, ValueError("enough"))
        with pytest.raises(BackendError, match="enough"):
            answers.carry_out(enqueue("a"))
        assert len(answers.sent) == 3
        assert (answers.sent[0] != answers.sent[1]) is is_repeated
        assert answers.sent[1] == answers.sent[2]


def test_connections_that_break_before_and_after_have_their_own_tries() -> None:
    answers = Answers(BROKEN, LOADING, LOADING, BROKEN, BROKEN, BROKEN)
    with pytest.raises(BackendError, match="cannot be reached"):
        answers.carry_out(COUNT)
    assert answers.pauses == [0.0, 0.1, 0.4, 0.1, 0.4]


def test_the_first_look_at_it_is_as_patient() -> None:
    answers = Answers(LOADING)
    with pytest.raises(BackendError, match="is loading its data"):
        drive(check_server(), answers.perform)
    assert sum(answers.pauses) == pytest.approx(REPLY_TIMEOUT)


@pytest.fixture
def slow(start_server: StartServer, server_kind: str) -> Iterator[Server]:
    """A server that takes some seconds to read its data."""
    if start_server(server_kind).version.startswith("6."):  # which skips where there is none, too
        pytest.skip("Redis 6.2 cannot be told to answer while it reads little data")
    options = (*servers.for_debugging(server_kind), "--loading-process-events-interval-bytes", "1024")
    options += ("--rdbcompression", "no")  # one key shall be one interval
    with servers.running(server_kind, *options) as server:
        with server.client() as client:
            client.mset({f"key-{number}": "x" * 1100 for number in range(100)})
            client.config_set("key-load-delay", 20_000)  # microseconds
        yield server


@contextlib.contextmanager
def loading(server: Server) -> Generator[None]:
    """Begins when the server reads its data; leaves when it has done so."""

    def reload() -> None:
        with server.client() as client:
            client.execute_command("DEBUG", "RELOAD")

    thread = threading.Thread(target=reload)
    with server.client() as client:
        client.ping()  # connecting takes several of the moments in which the server listens
        thread.start()

        def has_begun() -> bool:
            about: Any = client.info("persistence")
            return bool(about["loading"])

        eventually(has_begun)
        yield
        thread.join()


def enqueue(job_id: str) -> Enqueue:
    return Enqueue(task="t", version=1, max_attempts=1, jobs=[NewJob(job_id=job_id, data=b"1")])


async def dispatch(url: str, job_id: str) -> bool:
    backend = open_backend(url)
    try:
        return (await backend.run(enqueue(job_id)))[0]
    finally:
        await backend.close()


def dispatch_in_a_thread(url: str, job_id: str) -> bool:
    with contextlib.closing(open_sync_backend(url)) as backend:
        return backend.run(enqueue(job_id))[0]


async def test_jobs_are_dispatched_while_it_does_so(slow: Server) -> None:
    with loading(slow):
        dispatches = [
            dispatch(f"{slow.url}?transport=fast", "a"),
            dispatch(f"{slow.url}?transport=redis-py", "b"),
            asyncio.to_thread(dispatch_in_a_thread, slow.url, "c"),
        ]
        assert await asyncio.gather(*dispatches) == [True] * 3
