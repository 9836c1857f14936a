"""A server that takes no time and no thought: it answers requests of one task with what they want to hear.

What a client does for a job can be counted against it, the same on every machine.
"""

from typing import Any, NoReturn

import hiredis

from taskora.wire import Keyspace, SyncBackend
from taskora.wire._transitions import SCRIPTS
from taskora.wire.backends._async_connections import AsyncConnections
from taskora.wire.backends._redis import RedisBackend
from taskora.wire.backends._requests import Request

_NAMES = {script.sha: script.name for script in SCRIPTS}
_NOW_MS = 1_795_299_651_772
_HEADER = 3  # EVALSHA, the script, how many keys
_EXCHANGE_ARGUMENTS = 8


class CannedServer:
    """Answers as a server whose queue holds `backlog` jobs; counts the bytes and the requests that it is sent."""

    def __init__(self, backlog: int = 0) -> None:
        self.backlog = backlog
        self.sent_bytes = 0
        self.requests = 0

    async def request(self, request: Request) -> Any:
        """One request."""
        self.sent_bytes += len(hiredis.pack_command(request.args))  # type: ignore[arg-type]  # its hint says "of one"
        self.requests += 1
        words = request.args
        name = _NAMES.get(str(words[1]))
        if name == "enqueue":
            return []
        if name == "exchange":
            return self._exchange(words)
        if name == "handshake":
            return [b"6", b"6", b"canned", b"1"]
        return b""  # what the server is; whether it is locked

    def _exchange(self, words: tuple[Any, ...]) -> list[Any]:
        arguments = words[_HEADER + int(words[2]) :]
        settled = (len(arguments) - _EXCHANGE_ARGUMENTS) // 3
        claimed = min(int(arguments[3]), self.backlog)
        self.backlog -= claimed
        reply: list[Any] = [_NOW_MS, -1, b"1" * settled, b""]
        for n in range(claimed):
            reply += (b"%036d" % (self.backlog + n), b'{"n":1}', b"1", b"", b"%d" % _NOW_MS)
        return reply

    async def close(self) -> None:
        """Nothing to close."""


def canned_backend(server: CannedServer) -> RedisBackend:
    """A backend whose commands go there."""
    return RedisBackend(AsyncConnections(_no_connection), _no_blocking, keyspace=Keyspace(), commands=server)


def _no_connection() -> NoReturn:
    raise AssertionError("nothing here waits for work")


def _no_blocking() -> SyncBackend:
    raise AssertionError("nothing here leaves the event loop")
