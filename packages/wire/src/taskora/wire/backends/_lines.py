"""Conversations for one caller at a time: what blocks would hold up all who share one."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from taskora.wire.backends._async_connections import AsyncConnections
from taskora.wire.backends._connection import AsyncConnection
from taskora.wire.backends._conversation import Conversation, open_conversation
from taskora.wire.backends._resp import Request, closed


class Lines(AsyncConnections):
    """A pool that carries what blocks as `Multiplexer` carries the rest. What it lends are plain connections."""

    def __init__(self, make: Callable[[], AsyncConnection]) -> None:
        super().__init__(make)
        self._quiet: list[Conversation] = []
        self._all: set[Conversation] = set()

    async def blocking_request(self, request: Request) -> Any:
        """One command that may block."""
        line = self._reuse() or await self._open()
        try:
            return await line.ask(request)
        finally:
            self._take_back(line)

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Callable[[Request], Awaitable[Any]]]:
        """A line for one user, who may block it."""
        line = self._reuse() or await self._open()
        try:
            yield line.ask
        finally:
            self._take_back(line)

    def _reuse(self) -> Conversation | None:
        if self._closed:
            raise closed()
        while self._quiet:
            line = self._quiet.pop()
            if line.is_open:
                return line
            self._all.discard(line)  # it was cut while nobody used it
        return None

    async def _open(self) -> Conversation:
        line = await open_conversation(self._make())
        self._all.add(line)
        if self._closed:
            await line.close(closed())
        return line

    def _take_back(self, line: Conversation) -> None:
        """Keeps a line only if its reply has come: one that is still under way would be taken for the next one."""
        if line.is_quiet and not self._is_left:
            self._quiet.append(line)
        else:
            line.hang_up()
            self._all.discard(line)

    def leave(self) -> None:
        """Nobody needs the server any more; see `AsyncConnections.leave`."""
        super().leave()
        quiet, self._quiet = self._quiet, []
        for line in quiet:
            self._take_back(line)

    async def close(self) -> None:
        """Closes every connection, also those in use."""
        self._closed = True
        for line in tuple(self._all):
            await line.close(closed())
        await super().close()
