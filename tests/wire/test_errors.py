"""What goes wrong between us and a server, in words of ours; the same words from both kinds of backend."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis import RedisCluster

from taskora.contracts import BackendError, TaskoraError, UsageError
from taskora.wire import (
    CountJobs,
    Enqueue,
    Exchange,
    NewJob,
    Operation,
    Outcome,
    OutcomeKind,
    Settlement,
    may_pass,
)
from taskora.wire.backends import Transport, open_backend, open_sync_backend
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._redis_errors import OutOfMemoryError, ReadOnlyError, ResponseError
from taskora.wire.backends._redis_errors import error_of as error_of_words
from taskora.wire.backends._requests import Request, check_server, translate
from tests.servers import Server

SECRET = "hunter2-s3cret"
COUNT = CountJobs(task="t")
ENQUEUE = Enqueue(task="t", version=1, max_attempts=1, jobs=[NewJob(job_id="j1", data=b"1")])
CLAIM = Exchange(task="t", token="tok", lease_ms=30_000, slots=1, outcomes=[])
Run = Callable[[str, Operation[Any]], Any]


def run_sync(url: str, operation: Operation[Any]) -> Any:
    with contextlib.closing(open_sync_backend(url)) as backend:
        return backend.run(operation)


def run_async(url: str, operation: Operation[Any], transport: Transport = "auto") -> Any:
    async def run() -> Any:
        backend = open_backend(url, transport=transport)
        try:
            return await backend.run(operation)
        finally:
            await backend.close()

    return asyncio.run(run())


def run_async_pooled(url: str, operation: Operation[Any]) -> Any:
    return run_async(url, operation, "redis-py")


@pytest.fixture(params=[run_sync, run_async, run_async_pooled], ids=["sync", "async", "async-pooled"])
def run(request: pytest.FixtureRequest) -> Run:
    chosen: Run = request.param
    return chosen


@pytest.fixture
def as_user(server: Server, redis_raw: redis.Redis) -> Iterator[Callable[..., str]]:
    """Makes a user with the given rights and returns a URL for it."""
    client: Any = redis_raw

    def make(*rules: str, password: str = SECRET) -> str:
        client.execute_command("ACL", "SETUSER", "bob", "reset", "on", f">{SECRET}", *rules)
        return f"redis://bob:{password}@127.0.0.1:{server.port}/0"

    yield make
    client.execute_command("ACL", "DELUSER", "bob")


@pytest.fixture
def configure(redis_raw: redis.Redis) -> Iterator[Callable[[str, object], None]]:
    client: Any = redis_raw
    before: dict[str, object] = {}

    def change(name: str, value: object) -> None:
        before.setdefault(name, client.config_get(name)[name])
        client.config_set(name, value)

    yield change
    for name, value in before.items():
        client.config_set(name, value)


def error_of(run: Run, url: str, operation: Operation[Any] = COUNT) -> str:
    with pytest.raises(BackendError) as caught:
        run(url, operation)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_wrong_password(run: Run, as_user: Callable[..., str]) -> None:
    url = as_user("+@all", "~*", "&*", password="wrong-" + SECRET)
    assert error_of(run, url).startswith("the server refused the credentials (AuthenticationError: ")


def test_a_missing_password(run: Run, server: Server, configure: Callable[[str, object], None]) -> None:
    configure("requirepass", SECRET)
    message = error_of(run, server.url)
    assert message.startswith("the server refused the credentials")
    assert "check user name and password in the URL" in message


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(("+@all", "-evalsha", "-eval", "~*"), id="no scripts"),
        pytest.param(("+@all", "-hset", "~*"), id="a command inside a script"),
        pytest.param(("+@all", "~elsewhere:*"), id="other keys only"),
    ],
)
def test_rights_that_are_missing(run: Run, as_user: Callable[..., str], rules: tuple[str, ...]) -> None:
    message = error_of(run, as_user(*rules))
    assert message.startswith("the user may not do this (")
    assert message.endswith("extend its ACL")


def test_a_user_who_may_not_ask_for_the_version_of_the_server(run: Run, as_user: Callable[..., str]) -> None:
    assert run(as_user("+@all", "-info", "~*", "&*"), COUNT).waiting == 0


def test_a_server_that_is_not_there(run: Run) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # taken, so that nobody listens there
        message = error_of(run, f"redis://:{SECRET}@127.0.0.1:{probe.getsockname()[1]}/0")
    assert message.startswith("the server cannot be reached (ConnectionError: ")
    assert message.endswith("check that it runs and that the address is right")


def test_a_socket_that_is_not_there(run: Run) -> None:
    assert "cannot be reached" in error_of(run, "unix:///nowhere/at/all.sock")


def test_a_database_that_is_not_there(run: Run, server: Server) -> None:
    error_of(run, server.url.removesuffix("/0") + "/99")


def test_a_server_without_memory_refuses_new_jobs(
    run: Run, server: Server, configure: Callable[[str, object], None]
) -> None:
    run(server.url, COUNT)
    configure("maxmemory", 1)
    message = error_of(run, server.url, ENQUEUE)
    assert message.startswith("the server is out of memory (OutOfMemoryError: ")
    assert message.endswith("free memory or raise maxmemory, nothing was written")


@pytest.mark.parametrize("kind", OutcomeKind)
def test_a_server_without_memory_still_settles_jobs(
    run: Run, server: Server, configure: Callable[[str, object], None], kind: OutcomeKind
) -> None:
    job = NewJob(job_id="j1", data=b"1")
    run(server.url, Enqueue(task="t", version=1, max_attempts=1, jobs=[job]))
    run(server.url, Exchange(task="t", token="tok", lease_ms=30_000, slots=1))
    configure("maxmemory", 1)
    outcome = Outcome(kind=kind, job_id="j1", token="tok", payload=b"1", delay_ms=5)
    reply = run(server.url, Exchange(task="t", token="tok-2", lease_ms=30_000, slots=0, outcomes=[outcome]))
    assert reply.settlements == (Settlement.SETTLED,)


@pytest.mark.parametrize(
    ("info", "accepted"),
    [
        (b"# Server\r\nredis_version:6.0.16\r\n", False),
        (b"redis_version:5.0\r\n", False),
        (b"redis_version:6.2.14\r\n", True),
        (b"redis_version:7.0.0\r\n", True),
        (b"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.0.0\r\n", True),
        (b"redis_version:8.2\r\n", True),
        (b"redis_version:unstable\r\n", True),
        (b"", True),
    ],
)
def test_a_server_that_is_too_old(info: bytes, accepted: bool) -> None:
    flow = check_server()
    assert next(flow) == Request(("INFO", "server"))
    with pytest.raises(StopIteration if accepted else BackendError) as caught:
        flow.send(info)
    assert accepted or "taskora needs Redis 6.2 or Valkey 7.2 or newer: upgrade the server" in str(caught.value)


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("@user_script: 1: -READONLY You can't write.", ReadOnlyError, "You can't write."),
        ("@user_script: 1: -OOM command not allowed", OutOfMemoryError, "command not allowed"),
        ("@user_script: 1: -NOREPLICAS Not enough good replicas", ResponseError, "NOREPLICAS Not enough good replicas"),
        ("WRONGTYPE Operation against a key", ResponseError, "WRONGTYPE Operation against a key"),
        ("user_script:1: attempt to index local 'a'", ResponseError, "user_script:1: attempt to index local 'a'"),
    ],
)
@pytest.mark.parametrize("code", ["ERR ", ""], ids=["ours", "redis-py"])
def test_an_error_within_a_script_of_redis_6_is_that_of_newer_servers(
    said: str, kind: type[Exception], words: str, code: str
) -> None:
    error = error_of_words(f"{code}Error running script (call to f_{'0a' * 20}): @user_script:1: {said}")
    assert type(error) is kind
    assert str(error) == f"{words} script: {'0a' * 20}, on @user_script:1."


def test_an_error_that_a_script_of_redis_6_tells_itself_is_that_of_newer_servers() -> None:
    error = error_of_words("ERR @user_script: 12: -READONLY You can't write.")
    assert type(error) is ReadOnlyError
    assert str(error) == "You can't write. script: @user_script:12."


def test_a_replica_is_no_server_to_claim_from(run: Run, server: Server) -> None:
    run(server.url, ENQUEUE)
    with server.client() as client:
        untyped: Any = client
        untyped.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            message = error_of(run, server.url, CLAIM)
        finally:
            untyped.execute_command("REPLICAOF", "NO", "ONE")
    assert message.startswith(
        "the server cannot be reached (ReadOnlyError: You can't write against a read only replica."
    )


@pytest.mark.parametrize("opener", [open_backend, open_sync_backend])
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://localhost", "url scheme must be redis://"),
        (f"localhost:6379/{SECRET}", "url scheme must be redis://"),
        ("", "url scheme must be redis://"),
        (f"redis+sentinel://:{SECRET}@localhost:26379", "url names no service"),
        (f"redis+sentinel://:12/{SECRET}@localhost/shop", "host and port must be"),
        (f"redis+sentinel://:{SECRET}@localhost/shop/main", "a database number"),
        (f"redis://:{SECRET}@localhost:port", "host and port must be"),
        (f"redis://:{SECRET}@localhost:70000", "host and port must be"),
        (f"redis://:{SECRET}", "host and port must be"),
        (f"redis://:12/{SECRET}@localhost", "a database number"),
        ("redis://localhost:0", "url port must be from 1 to 65535"),
        (f"redis://:{SECRET}@localhost/main", "a database number"),
        ("redis://localhost/0/1", "a database number"),
        ("redis://localhost/0?db=main", "an option after the ?"),
        (f"redis://:{SECRET}@localhost/0?colour=red", "colour"),
        (f"redis://[{SECRET}", "host and port must be"),
        (f"redis+cluster://:{SECRET}@one:1,two:port", "host and port must be"),
        (f"redis+cluster://:{SECRET}@", "url names no host"),
        (f"redis+cluster://:{SECRET}@one/2", "a cluster has only database 0"),
    ],
)
def test_a_url_that_cannot_be_used(opener: Callable[[str], object], url: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        opener(url)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


class Cluster(RedisCluster):
    """A cluster client that has not met its cluster."""

    def __init__(self) -> None:
        pass

    def __del__(self) -> None:
        pass


@pytest.mark.parametrize("opener", [open_backend, open_sync_backend])
@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Cluster(), "a cluster client cannot be read for its settings"),
        (None, "url must be a URL"),
        (f"redis://:{SECRET}@localhost".encode(), "url must be a URL"),
        (5, "a redis-py client, or a backend"),
    ],
)
def test_a_target_that_cannot_be_used(opener: Callable[[Any], object], target: object, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        opener(target)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_prefix_beside_a_backend_is_refused(server: Server) -> None:
    with contextlib.closing(open_sync_backend(server.url)) as backend:
        assert open_sync_backend(backend) is backend
        with pytest.raises(UsageError, match="prefix"):
            open_sync_backend(backend, prefix="app")


def test_a_closed_backend_says_so(server: Server) -> None:
    backend = open_sync_backend(server.url)
    backend.close()
    with pytest.raises(BackendError, match="this backend is closed: open another one"):
        backend.run(COUNT)
    with pytest.raises(BackendError, match="this backend is closed: open another one"):
        backend.read_events({"t": "0"}, block_ms=1)


async def test_a_closed_asyncio_backend_says_so(server: Server) -> None:
    backend = open_backend(server.url)
    await backend.close()
    attempts = [
        backend.run(COUNT),
        backend.wait_for_work("t", timeout_ms=1, now_ms=0),
        backend.open_feed().read({"t": "0"}, block_ms=1),
        backend.cancellations(["t"]).__aenter__(),
    ]
    for attempt in attempts:
        with pytest.raises(BackendError, match="this backend is closed: open another one"):
            await attempt


@pytest.mark.parametrize("command", ["bzpopmin", "xread", "subscribe"])
async def test_rights_that_are_missing_for_waiting(as_user: Callable[..., str], command: str) -> None:
    backend = open_backend(as_user("+@all", f"-{command}", "~*", "&*"))
    waiting: dict[str, Callable[[], Any]] = {
        "bzpopmin": lambda: backend.wait_for_work("t", timeout_ms=1, now_ms=0),
        "xread": lambda: backend.open_feed().read({"t": "0"}, block_ms=1),
        "subscribe": lambda: backend.cancellations(["t"]).__aenter__(),
    }
    with pytest.raises(BackendError, match="the user may not do this"):
        await waiting[command]()
    await backend.close()


async def test_an_error_of_a_caller_inside_a_subscription_stays_the_callers(server: Server) -> None:
    backend = open_backend(server.url)
    with pytest.raises(FileNotFoundError):
        async with backend.cancellations(["t"]):
            raise FileNotFoundError
    await backend.close()


def test_every_error_is_of_the_tree() -> None:
    assert issubclass(BackendError, TaskoraError)
    assert issubclass(UsageError, TaskoraError)


def is_permanent(run: Run, url: str, operation: Operation[Any] = COUNT) -> bool:
    with pytest.raises(BackendError) as caught:
        run(url, operation)
    assert may_pass(caught.value) is not caught.value.is_permanent
    return caught.value.is_permanent


def test_a_refusal_will_not_pass(run: Run, server: Server, redis_raw: redis.Redis) -> None:
    redis_raw.set("taskora:{t}:wait", "no list")
    assert is_permanent(run, server.url)
    redis_raw.delete("taskora:{t}:wait")


def test_missing_rights_will_not_pass(run: Run, as_user: Callable[..., str]) -> None:
    assert is_permanent(run, as_user("+@all", "-evalsha", "-eval", "~*"))


def test_a_lack_of_memory_and_a_server_that_is_away_may_pass(
    run: Run, server: Server, configure: Callable[[str, object], None]
) -> None:
    run(server.url, COUNT)
    configure("maxmemory", 1)
    operation = Enqueue(task="t", version=1, max_attempts=1, jobs=[NewJob(job_id="j1", data=b"1")])
    assert not is_permanent(run, server.url, operation)
    assert not is_permanent(run, "unix:///nowhere/at/all.sock")


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (redis_errors.ResponseError("BUSY Redis is busy running a script"), True),
        (redis_errors.ResponseError("MISCONF Redis is configured to save snapshots"), True),
        (redis_errors.ResponseError("NOREPLICAS Not enough good replicas to write."), True),
        (redis_errors.ConnectionError("gone"), True),
        (redis_errors.TimeoutError("slow"), True),
        (redis_errors.ClusterDownError("The cluster is down"), True),
        (redis_errors.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), False),
        (redis_errors.ResponseError("user_script:37: attempt to index a nil value"), False),
        (redis_errors.NoPermissionError("no"), False),
    ],
)
def test_what_may_pass_is_told_from_what_will_not(error: Exception, passes: bool) -> None:
    assert may_pass(translate(error)) is passes


def test_an_error_that_is_not_the_servers_will_not_pass() -> None:
    assert not may_pass(ValueError("a reply that makes no sense"))
