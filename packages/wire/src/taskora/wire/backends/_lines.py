"""Conversations for one caller at a time: what blocks would hold up all who share one."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from taskora.contracts import BackendError
from taskora.wire.backends._async_connections import AsyncConnections, finish
from taskora.wire.backends._connection import AsyncConnection
from taskora.wire.backends._conversation import Conversation, open_conversation
from taskora.wire.backends._requests import FAILURES, Request, TokenRequest, closed
from taskora.wire.backends._transport import Ask, Commands

_UNBLOCK_PAUSE: Final = 0.001


class Lines(AsyncConnections):
    """A pool that carries what blocks as `Multiplexer` carries the rest. Plain connections are borrowed as ever.

    A caller who is cancelled while it waits for a wake-up token is let go by the server, and a token that was taken
    meanwhile is put back. `commands` are those of the same server.
    """

    def __init__(self, make: Callable[[], AsyncConnection], commands: Commands) -> None:
        super().__init__(make)
        self._commands: Final = commands
        self._quiet: list[Conversation] = []
        self._all: dict[Conversation, asyncio.Future[Any] | None] = {}  # with their ids, as far as anybody asked
        self._undoing: dict[Conversation, asyncio.Task[None]] = {}

    async def blocking_request(self, request: Request) -> Any:
        """One command that may block."""
        line = self._reuse() or await self._open()
        try:
            reply = self._ask(line, request)
            try:
                return await reply
            except asyncio.CancelledError:
                self._abandon(line, request, reply)
                raise
        finally:
            self._take_back(line)

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Ask]:
        """A line for one user, who may block it."""
        line = self._reuse() or await self._open()

        async def ask(request: Request) -> Any:
            reply = self._ask(line, request)
            try:
                return await reply
            except asyncio.CancelledError:
                self._abandon(line, request, reply)
                raise

        try:
            yield ask
        finally:
            self._take_back(line)

    def _ask(self, line: Conversation, request: Request) -> asyncio.Future[Any]:
        if self._all.get(line) is None and isinstance(request, TokenRequest):
            self._all[line] = _unwatched(line.ask(Request(("CLIENT", "ID"))))
        return line.ask(request)

    def _abandon(self, line: Conversation, request: Request, reply: asyncio.Future[Any]) -> None:
        if isinstance(request, TokenRequest):
            undoing = self._undo(line, request, _unwatched(line.take_over(reply)))
            self._undoing[line] = asyncio.get_running_loop().create_task(undoing)

    async def _undo(self, line: Conversation, request: TokenRequest, taken: asyncio.Future[Any]) -> None:
        """Ends a wait whose caller is gone, and keeps no token of it."""
        try:
            await self._free(line, taken)
            token = taken.result()
            if token is not None:
                await line.ask(request.undone(token))
        except (*FAILURES, BackendError):
            line.hang_up()  # workers look again after a while without a token
        finally:
            taken.cancel()
            del self._undoing[line]
            self._take_back(line)

    async def _free(self, line: Conversation, blocked: asyncio.Future[Any]) -> None:
        """Has the server answer; the command may not have arrived there yet.

        Raises:
            NoPermissionError: somebody may not ask for that.
        """
        asked = self._all[line]
        assert asked is not None
        client_id: int = 0 if blocked.done() else await asked
        while not blocked.done():
            await self._commands.request(Request(("CLIENT", "UNBLOCK", client_id)))
            await asyncio.wait((blocked,), timeout=_UNBLOCK_PAUSE)

    def _reuse(self) -> Conversation | None:
        if self._closed:
            raise closed()
        while self._quiet:
            line = self._quiet.pop()
            if line.is_open:
                return line
            self._all.pop(line, None)  # it was cut while nobody used it
        return None

    async def _open(self) -> Conversation:
        line = await open_conversation(self._make())
        self._all[line] = None
        if self._closed:
            await line.close(closed())
        return line

    def _take_back(self, line: Conversation) -> None:
        """Keeps a line only if its reply has come: one that is still under way would be taken for the next one."""
        if line in self._undoing:
            return
        if line.is_quiet and not self._is_left:
            self._quiet.append(line)
        else:
            line.hang_up()
            self._all.pop(line, None)

    def leave(self) -> None:
        """Nobody needs the server any more; see `AsyncConnections.leave`."""
        super().leave()
        quiet, self._quiet = self._quiet, []
        for line in quiet:
            self._take_back(line)

    async def close(self) -> None:
        """Closes every connection, also those in use; tokens that were taken for nobody go back before that."""
        self._closed = True
        await finish(self._undoing.values())
        for line in tuple(self._all):
            await line.close(closed())
        await super().close()


def _unwatched(reply: asyncio.Future[Any]) -> asyncio.Future[Any]:
    """A reply that perhaps nobody looks at; asyncio would complain of its error."""
    reply.add_done_callback(_mark_as_seen)
    return reply


def _mark_as_seen(reply: asyncio.Future[Any]) -> None:
    if not reply.cancelled():
        reply.exception()
