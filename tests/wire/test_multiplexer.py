"""One connection for many callers, against a server that misbehaves as told."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from taskora.contracts import BackendError
from taskora.wire.backends import _conversation
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._connection_factory import async_factory
from taskora.wire.backends._multiplexer import Multiplexer
from taskora.wire.backends._requests import Request
from tests.polling import aeventually
from tests.wire.scripted_server import Line, Script, ScriptedServer, echo

SOON_S = 10.0


@contextlib.asynccontextmanager
async def talking_to(
    script: Script, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncGenerator[tuple[Multiplexer, ScriptedServer]]:
    """A multiplexer, connected on first use, and its server."""
    server = ScriptedServer(script)
    async with server.listening(tls) as port:
        settings = {"host": "127.0.0.1", "port": port} | options
        multiplexer = Multiplexer(async_factory(settings))
        try:
            yield multiplexer, server
        finally:
            await multiplexer.close()


def say(word: object, timeout: float = SOON_S) -> Request:
    return Request(("ECHO", str(word)), timeout=timeout)


async def all_of(multiplexer: Multiplexer, *words: object) -> list[Any]:
    replies = asyncio.gather(*(multiplexer.request(say(word)) for word in words), return_exceptions=True)
    return await asyncio.wait_for(replies, SOON_S)


async def test_callers_get_their_own_replies_over_one_connection() -> None:
    async with talking_to(echo) as (multiplexer, server):
        assert await all_of(multiplexer, *range(500)) == [b"%d" % number for number in range(500)]
        assert len(server.lines) == 1


async def test_requests_made_together_leave_together() -> None:
    async with talking_to(echo) as (multiplexer, _):
        await multiplexer.request(say(0))
        conversation: Any = multiplexer._conversation
        writes: list[bytes] = []
        transport = conversation._transport

        def write(data: bytes) -> None:
            writes.append(data)
            transport.write(data)

        conversation._transport = SimpleNamespace(write=write, abort=transport.abort)
        assert await all_of(multiplexer, 1, 2, 3, 4) == [b"1", b"2", b"3", b"4"]
        # The first is not held back; the others wait for each other.
        assert [written.count(b"ECHO") for written in writes] == [1, 3]


async def test_a_reply_may_come_in_pieces() -> None:
    async def script(line: Line) -> None:
        while True:
            await line.next()
            for byte in b"*2\r\n$3\r\none\r\n*1\r\n:7\r\n":
                line.send(bytes((byte,)))
                await asyncio.sleep(0)

    async with talking_to(script) as (multiplexer, _):
        assert await all_of(multiplexer, 1, 2) == [[b"one", [7]]] * 2


async def test_replies_may_come_all_at_once() -> None:
    async def script(line: Line) -> None:
        for _ in range(3):
            await line.next()
        line.send(b"+one\r\n$-1\r\n:3\r\n")
        await line.next()

    async with talking_to(script) as (multiplexer, _):
        assert await all_of(multiplexer, 1, 2, 3) == [b"one", None, 3]


async def test_an_error_goes_to_its_caller_alone() -> None:
    async def script(line: Line) -> None:
        while True:
            word = (await line.next())[-1]
            line.send(b"-NOSCRIPT No matching script\r\n" if word == b"2" else b"+fine\r\n")

    async with talking_to(script) as (multiplexer, server):
        first, second, third = await all_of(multiplexer, 1, 2, 3)
        assert (first, third) == (b"fine", b"fine")
        assert isinstance(second, redis_errors.NoScriptError)
        assert await multiplexer.request(say(4)) == b"fine"
        assert len(server.lines) == 1


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("READONLY You can't write against a read only replica.", redis_errors.ReadOnlyError),
        ("LOADING Redis is loading the dataset in memory", redis_errors.BusyLoadingError),
        ("MASTERDOWN Link with MASTER is down", redis_errors.MasterDownError),
    ],
)
async def test_a_server_that_cannot_serve_now_is_looked_up_again(text: str, kind: type[Exception]) -> None:
    async def script(line: Line) -> None:
        await line.next()
        line.send(f"-{text}\r\n".encode())
        await line.next()

    async with talking_to(script) as (multiplexer, server):
        for tries in (1, 2):
            with pytest.raises(kind):
                await multiplexer.request(say(1))
            assert len(server.lines) == tries


async def test_out_of_memory_is_an_error_that_keeps_the_connection() -> None:
    async def script(line: Line) -> None:
        await line.next()
        line.send(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n")
        await echo(line)

    async with talking_to(script) as (multiplexer, server):
        with pytest.raises(redis_errors.OutOfMemoryError):
            await multiplexer.request(say(1))
        assert await multiplexer.request(say(2)) == b"2"
        assert len(server.lines) == 1


@pytest.mark.parametrize("said", [b"", b"+one\r\n$5\r\nha"])
async def test_all_under_way_fail_when_the_server_hangs_up_and_the_next_connects_again(said: bytes) -> None:
    async def script(line: Line) -> None:
        if len(server.lines) > 1:
            await echo(line)
        for _ in range(3):
            await line.next()
        line.send(said)
        line.hang_up()

    async with talking_to(script) as (multiplexer, server):
        replies = await all_of(multiplexer, 1, 2, 3)
        expected = 1 if said else 0
        assert [reply for reply in replies if reply == b"one"] == [b"one"] * expected
        failed = [reply for reply in replies if isinstance(reply, redis_errors.ConnectionError)]
        assert len(failed) == 3 - expected
        assert len(set(map(id, failed))) == len(failed)
        assert await multiplexer.request(say(4)) == b"4"


async def test_a_reply_that_does_not_come_ends_the_connection_and_is_never_given_to_another() -> None:
    async def script(line: Line) -> None:
        if len(server.lines) > 1:
            await echo(line)
        for _ in range(3):
            await line.next()

    async with talking_to(script) as (multiplexer, server):
        late = asyncio.ensure_future(multiplexer.request(say("late", timeout=0.02)))
        behind = asyncio.ensure_future(multiplexer.request(say("behind")))
        with pytest.raises(redis_errors.TimeoutError):
            await asyncio.wait_for(late, SOON_S)
        with pytest.raises(redis_errors.TimeoutError):
            await asyncio.wait_for(behind, SOON_S)
        assert await multiplexer.request(say("fresh")) == b"fresh"
        assert len(server.lines) == 2


async def test_an_event_loop_that_was_held_up_still_takes_a_reply_that_came_in_time() -> None:
    async with talking_to(echo) as (multiplexer, server):
        await multiplexer.request(say("first"))
        conversation: Any = multiplexer._conversation
        reply = asyncio.ensure_future(multiplexer.request(say("held up", timeout=0.0)))
        await asyncio.sleep(0)
        conversation._look()  # as uvloop does it: timers first, then what has arrived
        assert await asyncio.wait_for(reply, SOON_S) == b"held up"
        assert len(server.lines) == 1


async def test_a_caller_that_is_cancelled_leaves_the_replies_of_the_others_alone() -> None:
    go_on = asyncio.Event()

    async def script(line: Line) -> None:
        words = [(await line.next())[-1] for _ in range(3)]
        await go_on.wait()
        for word in words:
            line.send(b"+%b\r\n" % word)
        await echo(line)

    async with talking_to(script) as (multiplexer, server):
        calls = [asyncio.ensure_future(multiplexer.request(say(number))) for number in range(3)]
        await aeventually(lambda: server.lines and server.lines[0].greetings)
        calls[1].cancel()
        go_on.set()
        replies = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), SOON_S)
        assert (replies[0], replies[2]) == (b"0", b"2")
        assert isinstance(replies[1], asyncio.CancelledError)
        assert await multiplexer.request(say(4)) == b"4"
        assert len(server.lines) == 1


async def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    async def script(line: Line) -> None:
        await line.next()
        line.send(b"+one\r\n+two\r\n")
        await echo(line)

    async with talking_to(script) as (multiplexer, server):
        assert await multiplexer.request(say(1)) == b"one"
        await aeventually(lambda: not multiplexer._conversation or not multiplexer._conversation.is_open)
        assert await multiplexer.request(say(2)) == b"one"
        assert len(server.lines) == 2


async def test_what_is_no_redis_ends_the_connection() -> None:
    async def script(line: Line) -> None:
        await line.next()
        line.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await line.next()

    async with talking_to(script) as (multiplexer, _):
        with pytest.raises(redis_errors.ConnectionError, match="does not speak RESP"):
            await asyncio.wait_for(multiplexer.request(say(1)), SOON_S)


async def test_callers_wait_while_too_much_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_conversation, "MOST_REQUESTS", 8)
    most = 0

    async def script(line: Line) -> None:
        nonlocal most
        for _ in range(10):
            words = [(await line.next())[-1] for _ in range(4)]
            conversation: Any = multiplexer._conversation
            most = max(most, len(conversation._asked))
            for word in words:
                line.send(b"+%b\r\n" % word)
        await line.next()

    async with talking_to(script) as (multiplexer, _):
        assert await all_of(multiplexer, *range(40)) == [b"%d" % number for number in range(40)]
        assert 4 < most <= 8


async def test_callers_wait_while_the_socket_takes_no_more() -> None:
    go_on = asyncio.Event()
    text = "x" * 1_000_000

    async def script(line: Line) -> None:
        await go_on.wait()
        for _ in range(60):
            line.send(b":%d\r\n" % len((await line.next())[-1]))
        await line.next()

    async with talking_to(script, socket_connect_timeout=SOON_S) as (multiplexer, server):
        replies = asyncio.create_task(all_of(multiplexer, *[text] * 60))
        await aeventually(lambda: server.lines)
        for _ in range(100):
            await asyncio.sleep(0)
        go_on.set()
        await aeventually(lambda: multiplexer._conversation)
        assert await replies == [1_000_000] * 60


async def test_waiting_callers_fail_with_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_conversation, "MOST_REQUESTS", 2)

    async def script(line: Line) -> None:
        await line.next()
        await line.next()
        line.hang_up()

    async with talking_to(script) as (multiplexer, _):
        replies = await all_of(multiplexer, *range(5))
        assert [type(reply) for reply in replies] == [redis_errors.ConnectionError] * 5


async def test_who_waited_for_room_on_a_connection_that_takes_no_more_is_not_sent_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_conversation, "MOST_REQUESTS", 2)
    go_on = asyncio.Event()

    async def script(line: Line) -> None:
        await line.next()
        line.send(b"-READONLY You can't write against a read only replica.\r\n")
        await go_on.wait()
        await line.next()
        line.send(b"+its own reply\r\n")
        await line.next()

    async with talking_to(script) as (multiplexer, _):
        calls = [asyncio.ensure_future(multiplexer.request(say(number))) for number in range(5)]
        refused = await asyncio.wait_for(asyncio.gather(calls[0], *calls[2:], return_exceptions=True), SOON_S)
        assert [type(error) for error in refused] == [redis_errors.ReadOnlyError, *[redis_errors.ConnectionError] * 3]
        go_on.set()
        assert await calls[1] == b"its own reply"


async def test_closing_fails_what_is_under_way_and_whatever_comes_later() -> None:
    async def script(line: Line) -> None:
        await line.next()
        await line.next()

    async with talking_to(script) as (multiplexer, server):
        call = asyncio.ensure_future(multiplexer.request(say(1)))
        await aeventually(lambda: server.lines and server.lines[0].greetings)
        await aeventually(lambda: multiplexer._conversation)
        await multiplexer.close()
        for late in (call, multiplexer.request(say(2))):
            with pytest.raises(BackendError, match="this backend is closed"):
                await asyncio.wait_for(late, SOON_S)


async def test_closing_ends_also_a_connection_that_takes_no_more_requests() -> None:
    async def script(line: Line) -> None:
        if len(server.lines) > 1:
            await echo(line)
        await line.next()
        line.send(b"-READONLY You can't write against a read only replica.\r\n")
        await line.next()
        await line.next()

    async with talking_to(script) as (multiplexer, server):
        first, held = multiplexer.request(say(1)), asyncio.ensure_future(multiplexer.request(say("held")))
        with pytest.raises(redis_errors.ReadOnlyError):
            await first
        assert await multiplexer.request(say(2)) == b"2"
        assert len(server.lines) == 2
        await multiplexer.close()
        with pytest.raises(BackendError, match="this backend is closed"):
            await asyncio.wait_for(held, SOON_S)
        await aeventually(lambda: all(line.reader.at_eof() for line in server.lines))


RESP_3: dict[bytes, Any] = {
    b"_\r\n": None,
    b"#t\r\n": True,
    b",1.5\r\n": 1.5,
    b"%1\r\n$1\r\na\r\n:7\r\n": {b"a": 7},
    b"=7\r\ntxt:one\r\n": b"one",
    b">3\r\n+message\r\n+channel\r\n+text\r\n+one\r\n": b"one",
    b"+one\r\n>2\r\n+invalidate\r\n_\r\n": b"one",
}


@pytest.mark.parametrize(("said", "heard"), RESP_3.items())
async def test_types_of_resp_3_are_read_and_what_is_pushed_is_nobodys_reply(said: bytes, heard: object) -> None:
    async def script(line: Line) -> None:
        while True:
            await line.next()
            line.send(said)

    async with talking_to(script) as (multiplexer, server):
        assert await all_of(multiplexer, 1, 2, 3) == [heard] * 3
        assert len(server.lines) == 1


async def test_a_request_that_no_server_takes_is_refused_before_it_breaks_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_conversation, "LARGEST_REQUEST", 1000)
    async with talking_to(echo) as (multiplexer, server):
        first, large, last = await all_of(multiplexer, 1, "x" * 1000, 2)
        assert (first, last) == (b"1", b"2")
        assert isinstance(large, redis_errors.DataError)
        assert len(server.lines) == 1


async def test_who_comes_when_a_full_conversation_has_just_ended_is_refused_at_once() -> None:
    async with talking_to(echo) as (multiplexer, _):
        await multiplexer.request(say(1))
        conversation: Any = multiplexer._conversation
        conversation.pause_writing()
        await conversation.close(redis_errors.ConnectionError("over"))
        with pytest.raises(redis_errors.ConnectionError, match="over"):
            await asyncio.wait_for(conversation.ask(say(2)), SOON_S)


async def test_credentials_name_and_database_are_said_before_the_first_request() -> None:
    options: dict[str, Any] = {"username": "bob", "password": "secret", "db": 3, "client_name": "shop"}
    async with talking_to(echo, **options) as (multiplexer, server):
        await multiplexer.request(say(1))
        greetings = server.lines[0].greetings
        assert greetings[:2] == [[b"AUTH", b"bob", b"secret"], [b"CLIENT", b"SETNAME", b"shop"]]
        assert greetings[2:] == [[b"SELECT", b"3"], [b"CLIENT", b"SETINFO", b"LIB-NAME", b"taskora"]]


async def test_wrong_credentials_are_refused() -> None:
    async with talking_to(echo, password="wrong") as (multiplexer, server):
        for tries in (1, 2):
            with pytest.raises(redis_errors.AuthenticationError):
                await asyncio.wait_for(multiplexer.request(say(1)), SOON_S)
            assert len(server.lines) == tries


async def test_callers_share_attempts_to_connect_and_pause_longer_after_each(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    asleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asleep(0)

    async with talking_to(echo, port=1) as (multiplexer, _):
        monkeypatch.setattr(asyncio, "sleep", sleep)
        for _ in range(8):
            replies = await all_of(multiplexer, 1, 2, 3)
            assert [type(reply) for reply in replies] == [redis_errors.ConnectionError] * 3
        bounds = [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
        assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of our own for 127.0.0.1, its key beside it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate to test TLS with")
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path.with_suffix(".key")), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


async def test_tls_with_a_certificate_that_is_trusted(certificate: Path) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
    async with talking_to(echo, tls, scheme="rediss", ssl_ca_certs=str(certificate)) as (multiplexer, server):
        assert await all_of(multiplexer, *range(100), "x" * 300_000) == [
            *(b"%d" % number for number in range(100)),
            b"x" * 300_000,
        ]
        assert len(server.lines) == 1


async def test_tls_with_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
    async with talking_to(echo, tls, scheme="rediss") as (multiplexer, _):
        with pytest.raises(redis_errors.ConnectionError):
            await asyncio.wait_for(multiplexer.request(say(1)), SOON_S)
