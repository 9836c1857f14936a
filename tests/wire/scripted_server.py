"""A server that says what a test tells it to say, byte by byte."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import hiredis

Command = list[bytes]


class Line:
    """One connection, seen from the server. Greetings of the client (AUTH, SELECT, ...) are answered by themselves."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.greetings: list[Command] = []
        self.reader = reader
        self.writer = writer
        self._parser = hiredis.Reader()

    async def next(self) -> Command:
        """The next command that is no greeting; raises `EOFError` at the end of the connection."""
        while True:
            command = await self._read()
            if command[0] not in (b"AUTH", b"CLIENT", b"SELECT", b"HELLO"):
                return command
            self.greetings.append(command)
            self.send(b"-WRONGPASS no\r\n" if command[-1] == b"wrong" else b"+OK\r\n")

    async def _read(self) -> Command:
        while True:
            command: Any = self._parser.gets()
            if command is not False:
                return list(command)
            data = await self.reader.read(65536)
            if not data:
                raise EOFError
            self._parser.feed(data)

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def hang_up(self) -> None:
        self.writer.close()


Script = Callable[[Line], Awaitable[None]]


class ScriptedServer:
    """Runs `script` for each connection; the script ends where the connection does."""

    def __init__(self, script: Script) -> None:
        self.lines: list[Line] = []
        self._script = script

    @contextlib.asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
        """Its port on 127.0.0.1."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for line in self.lines:
                line.writer.transport.abort()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        self.lines.append(line)
        with contextlib.suppress(EOFError, OSError):
            await self._script(line)
        writer.transport.abort()


async def echo(line: Line) -> None:
    """Answers each command with its last word."""
    while True:
        command = await line.next()
        line.send(b"$%d\r\n%b\r\n" % (len(command[-1]), command[-1]))
