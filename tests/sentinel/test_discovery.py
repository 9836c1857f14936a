"""The master is found through sentinels, and what cannot be found is said."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

from taskora.contracts import BackendError, UsageError
from taskora.wire import CountJobs, Enqueue, NewJob
from taskora.wire.backends import open_backend, open_sync_backend
from taskora.wire.backends._async_connections import AsyncConnections
from taskora.wire.backends._multiplexer import Multiplexer
from tests.fixtures import StartServer
from tests.sentinels import SERVICE, Watched, watched
from tests.servers import ServerMissingError
from tests.wire.scripted_server import Line, ScriptedServer

COUNT = CountJobs(task="t")
SOON_S = 20.0
WAYS = ["fast", "redis-py"]


def enqueue(job_id: str) -> Enqueue:
    return Enqueue(task="t", version=1, max_attempts=1, jobs=[NewJob(job_id=job_id, data=b"1")])


async def count_at(url: str, **options: Any) -> int:
    backend = open_backend(url, **options)
    try:
        return (await asyncio.wait_for(backend.run(COUNT), SOON_S)).waiting
    finally:
        await backend.close()


def count_by_thread_at(url: str) -> int:
    with contextlib.closing(open_sync_backend(url)) as backend:
        return backend.run(COUNT).waiting


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Where connections are accepted and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield silent.getsockname()[1]


@pytest.mark.parametrize("transport", WAYS)
async def test_the_master_of_a_service_serves(sentinels: Watched, transport: str) -> None:
    backend = open_backend(sentinels.with_options(transport=transport))
    assert await backend.run(enqueue("a")) == (True,)
    await backend.close()
    assert count_by_thread_at(sentinels.url) == 1
    with sentinels.client(sentinels.master()) as client:
        assert client.exists("taskora:{t}:a") == 1


def test_commands_share_a_connection_unless_told_otherwise(sentinels: Watched) -> None:
    for options, expected in (({}, Multiplexer), ({"transport": "redis-py"}, AsyncConnections)):
        backend: Any = open_backend(sentinels.with_options(**options))
        assert type(backend.target._commands) is expected


@pytest.mark.parametrize("transport", WAYS)
async def test_sentinels_that_are_gone_or_silent_are_passed_over(
    sentinels: Watched, silent_port: int, transport: str
) -> None:
    url = sentinels.url_of(1, silent_port, sentinels.ports[2])
    assert await count_at(url, transport=transport) == 0
    assert await asyncio.to_thread(count_by_thread_at, url) == 0


async def test_a_service_that_no_sentinel_knows_is_an_error_that_names_it(sentinels: Watched) -> None:
    url = sentinels.url_of(1, sentinels.ports[0]).replace(f"/{SERVICE}/", "/nope/")
    words = (
        rf"no sentinel names a master of 'nope' .*127.0.0.1:1: .*; 127.0.0.1:{sentinels.ports[0]} knows no such service"
    )
    with pytest.raises(BackendError, match=words):
        await count_at(url)
    with pytest.raises(BackendError, match=words):
        await asyncio.to_thread(count_by_thread_at, url)


async def test_a_server_that_is_no_master_any_more_is_not_used(sentinels: Watched) -> None:
    replica = sentinels.await_replica()
    names = [replica.port, replica.port, sentinels.master().port]

    async def script(line: Line) -> None:
        while True:
            assert await line.next() == [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", SERVICE.encode()]
            port = b"%d" % (names.pop(0) if len(names) > 1 else names[0])
            line.send(b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%b\r\n" % (len(port), port))

    async with ScriptedServer(script).listening() as late:
        assert await count_at(sentinels.url_of(late)) == 0
        assert names == [sentinels.master().port]
        names.insert(0, replica.port)
        assert await asyncio.to_thread(count_by_thread_at, sentinels.url_of(late)) == 0


SENTINEL: Any = redis.sentinel.Sentinel  # without type hints
ASYNC_SENTINEL: Any = redis.asyncio.sentinel.Sentinel


@pytest.mark.parametrize("make", [SENTINEL, ASYNC_SENTINEL], ids=["threads", "asyncio"])
@pytest.mark.parametrize("transport", WAYS)
async def test_a_client_that_asks_sentinels_is_read_for_whom_it_asks(
    sentinels: Watched, make: Any, transport: Any
) -> None:
    client = make([("127.0.0.1", port) for port in sentinels.ports]).master_for(SERVICE)
    backend = open_backend(client, transport=transport)
    await backend.run(enqueue("a"))
    await backend.close()
    with contextlib.closing(open_sync_backend(client)) as sync:
        assert (await asyncio.to_thread(sync.run, COUNT)).waiting == 1


def test_a_client_of_replicas_is_refused(sentinels: Watched) -> None:
    client = SENTINEL([("127.0.0.1", sentinels.ports[0])]).slave_for(SERVICE)
    with pytest.raises(UsageError, match="reads from replicas"):
        open_sync_backend(client)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Watched]:
    """Servers and sentinels that ask for different passwords, with special characters in both."""
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(watched("valkey9", password="pa:ss/1", sentinel_password="wo@rd"))
        except ServerMissingError as error:
            pytest.skip(str(error))


@pytest.mark.parametrize("transport", WAYS)
async def test_sentinels_have_credentials_of_their_own(guarded: Watched, transport: str) -> None:
    assert await count_at(guarded.with_options(transport=transport)) == 0
    assert await asyncio.to_thread(count_by_thread_at, guarded.url) == 0


async def test_wrong_credentials_say_whose_they_are(guarded: Watched) -> None:
    of_sentinels = guarded.url.replace("sentinel_password=", "sentinel_password=x")
    of_server = guarded.url.replace("://:", "://:x")
    none = guarded.url.partition("?")[0]
    for url, words in (
        (of_sentinels, "sentinel 127.0.0.1"),
        (none, "sentinel 127.0.0.1"),
        (of_server, "refused the cred"),
    ):
        with pytest.raises(BackendError, match=words):
            await count_at(url)
        with pytest.raises(BackendError, match="refused the credentials"):
            await asyncio.to_thread(count_by_thread_at, url)


@pytest.mark.parametrize("transport", WAYS)
async def test_a_server_that_refuses_the_database_says_so(sentinels: Watched, transport: str) -> None:
    with sentinels.client(sentinels.master()) as client:
        rules: Any = {"categories": ["+@all"], "commands": ["-select", "-role"], "keys": ["*"]}
        client.acl_setuser("narrow", enabled=True, passwords=["+pw"], **rules)
        try:
            url = sentinels.with_options(transport=transport).replace("://", "://narrow:pw@")
            assert await count_at(url.replace(f"/{SERVICE}/0", f"/{SERVICE}")) == 0
            elsewhere = url.replace(f"/{SERVICE}/0", f"/{SERVICE}/3")
            with pytest.raises(BackendError, match=r"may not do this.*select"):
                await count_at(elsewhere)
            with pytest.raises(BackendError, match=r"may not do this.*select"):
                await asyncio.to_thread(count_by_thread_at, elsewhere)
        finally:
            client.acl_deluser("narrow")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis+sentinel://one:1,two:2", "url names no service"),
        ("redis+sentinel:///shop", "url names no host"),
        ("redis+sentinel://one:0/shop", "url port"),
        ("redis+sentinel://one:x/shop", "url cannot be read"),
        ("redis+sentinel://one/shop/x", "url path must be a database number"),
        ("redis+sentinel://one/shop?nope=1", "url option must be one of .*sentinel_password.*, got 'nope'"),
        ("redis+sentinel://one/shop?ssl_ca_certs=x", "begin the URL with rediss"),
    ],
)
def test_a_url_that_names_no_service(url: str, words: str) -> None:
    for opening in (open_backend, open_sync_backend):
        with pytest.raises(UsageError, match=words):
            opening(url)


async def test_tls_is_spoken_with_sentinels_and_servers(
    start_server: StartServer, certificates: Any, sentinels: Watched
) -> None:
    from tests.tls import tls_front

    context = certificates.server_context()
    trust = f"?ssl_ca_certs={certificates.file('authority')}"
    with tls_front(start_server("valkey9").port, context) as server:

        async def script(line: Line) -> None:
            while True:
                await line.next()
                line.send(b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n" % (len(str(server)), server))

        async with ScriptedServer(script).listening(context) as sentinel:
            url = f"rediss+sentinel://127.0.0.1:{sentinel}/{SERVICE}/3"
            assert await count_at(url + trust) == 0
            assert await asyncio.to_thread(count_by_thread_at, url + trust) == 0
            with pytest.raises(BackendError, match="CERTIFICATE_VERIFY_FAILED"):
                await count_at(url)
