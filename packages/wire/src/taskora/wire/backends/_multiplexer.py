"""Keeps one conversation with the server alive, for all callers of an asyncio backend."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection

from taskora.wire.backends._async_connections import drop
from taskora.wire.backends._conversation import Conversation, converse
from taskora.wire.backends._resp import Request, closed

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


class Multiplexer:
    """Connects when it is asked for something, and again after the connection broke; repeats no request."""

    def __init__(self, make: Callable[[], AbstractConnection]) -> None:
        self._make = make
        self._conversation: Conversation | None = None
        self._connecting: asyncio.Task[Conversation] | None = None
        self._failures = 0
        self._closed = False

    async def request(self, request: Request) -> Any:
        """One command that answers at once. It must not block: all others would wait with it."""
        conversation = self._conversation
        if conversation is None or not conversation.is_open:
            conversation = await self._connected()
        return await conversation.ask(request)

    async def _connected(self) -> Conversation:
        """Shares one attempt among all who call meanwhile, and its error; who calls later begins another one."""
        if self._closed:
            raise closed()
        connecting = self._connecting
        if connecting is None:
            connecting = self._connecting = asyncio.create_task(self._connect())
            connecting.add_done_callback(self._end_connecting)
        await asyncio.wait({connecting})  # a caller that is cancelled leaves the attempt to the others
        if connecting.cancelled():
            raise closed()
        return connecting.result()

    async def _connect(self) -> Conversation:
        if self._failures:
            # At random, so that programs that lost the same server do not return together.
            longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures - 1, 10))
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))
        self._failures += 1
        self._conversation = conversation = await _open(self._make())
        self._failures = 0
        return conversation

    def _end_connecting(self, connecting: asyncio.Task[Conversation]) -> None:
        self._connecting = None
        if not connecting.cancelled():
            connecting.exception()  # nobody may be left to ask for it, and asyncio would complain

    async def close(self) -> None:
        """Closes the connection; requests under way fail."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        if self._conversation is not None:
            await self._conversation.close(closed())


async def _open(connection: AbstractConnection) -> Conversation:
    try:
        return await converse(connection)
    except BaseException:
        await drop(connection)
        raise
