"""A connection for asyncio to the server that a URL names."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, cast

from taskora.wire._call import Arg
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._introduction import Settings, check_reply, introduction
from taskora.wire.backends._replies import NOT_YET, Pushed, make_reader, pack, tune


class AsyncServerConnection:
    """See `AsyncConnection`. A connection that was closed may connect again."""

    def __init__(self, settings: Settings) -> None:
        self._settings: Final = settings
        self._parser = make_reader()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def connect_seconds(self) -> float:
        """How long connecting may take."""
        return self._settings.connect_seconds

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as anybody knows."""
        return self._writer is not None

    @property
    def transport(self) -> asyncio.Transport:
        """What it is connected by."""
        assert self._writer is not None
        return cast("asyncio.Transport", self._writer.transport)

    async def connect(self) -> None:
        """Connects, and introduces us to the server."""
        settings = self._settings
        try:
            self._reader, self._writer = await _open(settings)
        except OSError as error:
            raise settings.failure(error) from error
        self._parser = make_reader()
        try:
            commands = introduction(settings)
            self._writer.write(b"".join(map(pack, commands)))
            for command in commands:
                with settings.introducing():
                    reply = await self._next()
                check_reply(command, reply)
        except BaseException:
            self.abort()
            raise

    async def send(self, args: Sequence[Arg]) -> None:
        """Sends one command."""
        writer = self._writer
        if writer is None:
            raise _gone()
        try:
            writer.write(pack(tuple(args)))
            await writer.drain()
        except OSError as error:
            raise redis_errors.ConnectionError(f"Error while writing to {self._settings.where}: {error}") from error

    async def read(self, *, pushed: bool = False) -> Any:
        """The next reply."""
        reply = await self._next(pushed=pushed)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def _next(self, *, pushed: bool = False) -> Any:
        while True:
            reply = self._parser.gets()
            if reply is NOT_YET:
                self._parser.feed(await self._receive())
            elif pushed or type(reply) is not Pushed:
                return reply

    async def _receive(self) -> bytes:
        if self._reader is None:
            raise _gone()
        try:
            data = await self._reader.read(self._settings.socket_read_size)
        except OSError as error:
            broken = redis_errors.ConnectionError(f"Error while reading from {self._settings.where}: {error}")
            raise self._settings.refusal(error) or broken from error
        if not data:
            raise _gone()
        return data

    def abort(self) -> None:
        """Ends it at once. Over TLS, a polite goodbye would wait for an answer that may never come."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.transport.abort()

    async def close(self) -> None:
        """Ends it, and waits until it has ended."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is None:
            return
        writer.close()
        try:
            async with asyncio.timeout(self.connect_seconds):
                await writer.wait_closed()
        except OSError:  # and its time is over
            writer.transport.abort()


def _gone() -> Exception:
    return redis_errors.ConnectionError("Connection closed by server.")


async def _open(settings: Settings) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if settings.path is not None:
        return await asyncio.open_unix_connection(settings.path)
    context = None
    if settings.tls is not None:
        from taskora.wire.backends._tls import tls_context

        context = tls_context(settings.tls)
    reader, writer = await asyncio.open_connection(settings.host, settings.port, ssl=context)
    try:
        tune(writer.get_extra_info("socket"), keepalive=settings.socket_keepalive)
    except OSError:  # some systems say so when the other side has hung up
        writer.transport.abort()
        raise
    return reader, writer
