"""A socket to a canned server, without an operating system: what is written is answered a little later."""

import asyncio
from collections.abc import Callable
from typing import Any

import hiredis

from taskora.wire import Keyspace, SyncBackend
from taskora.wire.backends._lines import Lines
from taskora.wire.backends._multiplexer import Multiplexer
from taskora.wire.backends._redis import RedisBackend
from taskora.wire.backends._requests import Request
from tests.counts.canned import CannedServer


class CannedSocket(asyncio.Transport):
    """A connection that is connected, and its transport. Who waits for a token waits until `push_token`.

    `on_write` is told of each command as it is written, `on_reply` before its reply arrives.
    """

    connect_seconds = 1.0
    is_connected = True

    def __init__(
        self, server: CannedServer, *, on_write: Callable[[str], None], on_reply: Callable[[str], None]
    ) -> None:
        super().__init__()
        self.waits_for: bytes | None = None
        self._server = server
        self._on_write = on_write
        self._on_reply = on_reply
        self._reader = hiredis.Reader()
        self._protocol: Any = None

    @property
    def transport(self) -> asyncio.Transport:
        return self

    async def connect(self) -> None:
        """It is connected."""

    def get_protocol(self) -> Any:
        return asyncio.Protocol()

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def write(self, data: Any) -> None:
        self._reader.feed(data)
        while (words := self._reader.gets()) is not False:
            self._on_write(words[0].decode())
            if words[0] == b"BZPOPMIN":
                self.waits_for = words[1]
            else:
                asyncio.get_running_loop().create_task(self._answer([word.decode() for word in words]))

    async def _answer(self, words: list[str]) -> None:
        reply = _encode(await self._server.request(Request(tuple(words))))
        self._on_reply(words[0])
        self._protocol.data_received(reply)

    def push_token(self) -> None:
        """The server has work: the wait is over."""
        assert self.waits_for is not None
        key, self.waits_for = self.waits_for, None
        self._protocol.data_received(_encode([key, b"0", b"1795299651772"]))

    def abort(self) -> None:
        if self._protocol is not None:
            protocol, self._protocol = self._protocol, None
            asyncio.get_running_loop().call_soon(protocol.connection_lost, None)


def _encode(reply: Any) -> bytes:
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    return b"*%d\r\n" % len(reply) + b"".join(map(_encode, reply))


def connected_backend(make: Callable[[], Any]) -> RedisBackend:
    """A backend of the fast transport over such sockets."""

    def no_blocking() -> SyncBackend:
        raise AssertionError("nothing here leaves the event loop")

    commands = Multiplexer(make)
    return RedisBackend(Lines(make, commands), no_blocking, keyspace=Keyspace(), commands=commands)
