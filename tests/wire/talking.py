"""A multiplexer that talks to a scripted server."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from typing import Any

from taskora.wire.backends._connection_factory import async_factory
from taskora.wire.backends._multiplexer import Multiplexer
from taskora.wire.backends._requests import Request
from tests.wire.scripted_server import Script, ScriptedServer

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
