"""Keeps one conversation with the server alive, for all callers of an asyncio backend."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from taskora.wire._pauses import pause_after
from taskora.wire.backends._connection import AsyncConnection
from taskora.wire.backends._conversation import Conversation, open_conversation
from taskora.wire.backends._requests import Request, closed
from taskora.wire.backends._single_flight import SingleFlight

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


class Multiplexer:
    """Connects when it is asked for something, and again after the connection broke; repeats no request."""

    def __init__(self, make: Callable[[], AsyncConnection]) -> None:
        self._make = make
        self._conversation: Conversation | None = None
        self._leaving: set[Conversation] = set()  # these take no more requests, and wait for their last replies
        self._connecting: Final = SingleFlight(self._connect)
        self._failures = 0
        self._is_left = False
        self._closed = False

    def request(self, request: Request) -> Awaitable[Any]:
        """One command that answers at once. It must not block: all others would wait with it."""
        conversation = self._conversation
        if conversation is not None and conversation.is_open:
            return conversation.ask(request)
        return self._request_anew(request)

    async def _request_anew(self, request: Request) -> Any:
        if self._closed:
            raise closed()
        conversation = await self._connecting.join()
        try:
            return await conversation.ask(request)
        finally:
            if self._is_left:
                conversation.retire()

    async def _connect(self) -> Conversation:
        if self._failures:
            await asyncio.sleep(pause_after(self._failures, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE))
        self._failures += 1
        conversation = await open_conversation(self._make())
        self._leaving = {left for left in (*self._leaving, self._conversation) if left and not left.has_ended}
        self._conversation = conversation
        self._failures = 0
        return conversation

    def leave(self) -> None:
        """Nobody needs this server any more: ends the connection with its last reply, and keeps none from now on."""
        self._is_left = True
        if self._conversation is not None:
            self._conversation.retire()

    async def close(self) -> None:
        """Closes the connection; requests under way fail."""
        self._closed = True
        await self._connecting.cancel()
        for conversation in (*self._leaving, self._conversation):
            if conversation is not None:
                await conversation.close(closed())
