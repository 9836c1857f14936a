"""Callers wait where too much is under way, and are refused what no server takes."""

import asyncio
from typing import Any

import pytest

from taskora.wire.backends import _conversation
from taskora.wire.backends import _redis_errors as redis_errors
from tests.polling import aeventually
from tests.wire.scripted_server import Line, echo
from tests.wire.talking import SOON_S, all_of, say, talking_to


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
