"""One connection for many callers, against a server that misbehaves as told."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from taskora.contracts import BackendError
from taskora.wire.backends import _redis_errors as redis_errors
from tests.polling import aeventually
from tests.wire.scripted_server import Line, echo
from tests.wire.talking import SOON_S, all_of, say, talking_to


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
