"""No library: the fewest requests that bring a job from a program to another one that waits, over hiredis and uvloop.

For `latency` only. Whoever dispatches asks for a script that does nothing but put a token; who waits for the token then
asks for a script that does nothing. Nothing is stored, encoded or checked: what this takes, the machine takes.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from taskora.bench.peers.drivers._arrivals import ARRIVALS
from taskora.bench.peers.drivers._protocol import AsyncioDriver, Driver, NotOfferedError, peer

_TELL = "return redis.call('ZADD', KEYS[1], 0, '0')"
_TAKE = "return 0"


class _Pipe(asyncio.Protocol):
    """Requests and replies of one connection, in order."""

    def __init__(self) -> None:
        self._hiredis: Any = peer("hiredis")
        self._reader: Any = self._hiredis.Reader()
        self._asked: deque[asyncio.Future[Any]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport  # that of uvloop is no `asyncio.Transport`
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._asked.popleft().set_result(reply)

    def ask(self, *words: str) -> asyncio.Future[Any]:
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.append(reply)
        self._transport.write(self._hiredis.pack_command(words))
        return reply


class Bare(AsyncioDriver):
    """Two round trips."""

    distribution = "hiredis"
    settings = "no library"
    _commands: _Pipe
    _url: str
    _tell: str
    _take: str

    async def connect(self, url: str) -> None:
        self._url = url
        self._commands = await self._open()
        self._tell, self._take = [
            (await self._commands.ask("SCRIPT", "LOAD", text)).decode() for text in (_TELL, _TAKE)
        ]

    async def _open(self) -> _Pipe:
        address = urlsplit(self._url)
        _, pipe = await asyncio.get_running_loop().create_connection(_Pipe, address.hostname or "", address.port or 0)
        return pipe

    async def enqueue(self, number: int) -> None:
        await self._commands.ask("EVALSHA", self._tell, "1", "token")

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        raise NotOfferedError("one token is not several jobs")

    async def start_worker(self, concurrency: int) -> None:
        self.keep_running(self._work(await self._open()))

    async def _work(self, waits: _Pipe) -> None:
        while True:
            await waits.ask("BZPOPMIN", "token", "0")
            await self._commands.ask("EVALSHA", self._take, "1", "token")
            ARRIVALS.arrive()


driver: Driver = Bare()
