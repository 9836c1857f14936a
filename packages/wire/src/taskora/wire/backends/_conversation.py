"""One socket that many callers share: requests leave in order, and each reply resolves the oldest request."""

import asyncio
from collections import deque
from typing import Any, Final

from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._async_connections import connect
from taskora.wire.backends._connection import AsyncConnection
from taskora.wire.backends._replies import NOT_YET as _NOT_YET
from taskora.wire.backends._replies import Pushed as _Pushed
from taskora.wire.backends._replies import make_reader, pack
from taskora.wire.backends._requests import Request, is_transient

# What may be under way at once. Beyond it callers wait, so that a server that is slow is not buried.
MOST_REQUESTS: Final = 4096
MOST_BYTES: Final = 16 * 1_048_576
# A server takes no larger value, and hangs up on whoever sends one: all others would lose their connection with it.
LARGEST_REQUEST: Final = 512 * 1_048_576
# An event loop that was held up for longer than a deadline gets a moment to read what has arrived meanwhile.
_SECOND_LOOK_SECONDS: Final = 0.2


async def open_conversation(connection: AsyncConnection) -> "Conversation":
    """Connects, and then takes the socket over."""
    try:
        await connect(connection)
        return Conversation(connection)
    except BaseException:
        connection.abort()
        raise


class Conversation(asyncio.Protocol):
    """A connected connection as a pipe. It ends for good with the first thing that goes wrong on it.

    A reply that does not come ends it too: any later one would be taken for the answer to another request. Whoever
    has asked by then gets an error of the kind that lets a request be repeated.

    Attributes:
        is_open: Whether it takes requests.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self.is_open = True
        self._connection = connection  # owns the socket, which it would close when nobody held it
        self._loop: Final = asyncio.get_running_loop()
        self._reader: Final = make_reader()
        self._asked: Final[deque[tuple[asyncio.Future[Any], float, int]]] = deque()
        self._bytes_asked = 0
        self._held: Final[deque[tuple[asyncio.Future[Any], bytes, float]]] = deque()  # there is no room for these yet
        self._unwritten: list[bytes] = []
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._overdue: asyncio.Future[Any] | None = None
        self._ended: Exception | None = None
        self._gone: Final = asyncio.Event()
        self._transport: Final = connection.transport
        self._former: Final = self._transport.get_protocol()
        self._transport.set_protocol(self)

    @property
    def has_ended(self) -> bool:
        """Whether nothing is under way any more."""
        return self._ended is not None

    @property
    def is_quiet(self) -> bool:
        """Whether it takes requests, and every reply has come."""
        return self.is_open and not self._asked

    def retire(self) -> None:
        """Takes no more requests, also none of those that wait for room, and ends with the last reply."""
        self.is_open = False
        while self._held:
            _fail(self._held.popleft()[0], _given_up())
        if not self._asked:
            self._end(_given_up())

    def ask(self, request: Request) -> asyncio.Future[Any]:
        """Sends one request, or holds it while too much is under way; gives its reply.

        A caller that is cancelled leaves its reply to be read and dropped.

        Raises:
            ConnectionError: it takes no more requests.
            DataError: no server takes such a request.
        """
        if not self.is_open:
            raise _copy(self._ended or _given_up())
        packed = pack(request.args)
        if len(packed) > LARGEST_REQUEST:
            raise redis_errors.DataError(f"a request of {len(packed):,} bytes is more than a server takes")
        reply: asyncio.Future[Any] = self._loop.create_future()
        if self._held or self._is_full():
            self._held.append((reply, packed, request.timeout))
        else:
            self._send(reply, packed, request.timeout)
        return reply

    def take_over(self, reply: asyncio.Future[Any]) -> asyncio.Future[Any]:
        """The reply that a caller has left behind, for somebody else: the same if it had come, else another future."""
        if not reply.cancelled():
            return reply
        taken: asyncio.Future[Any] = self._loop.create_future()
        for place, (asked, deadline, size) in enumerate(self._asked):
            if asked is reply:
                self._asked[place] = (taken, deadline, size)
                return taken
        _fail(taken, _copy(self._ended or _given_up()))
        return taken

    def _is_full(self) -> bool:
        return self._paused or len(self._asked) >= MOST_REQUESTS or self._bytes_asked >= MOST_BYTES

    def _send(self, reply: asyncio.Future[Any], packed: bytes, timeout: float) -> None:
        deadline = self._loop.time() + timeout
        if not self._asked:
            self._transport.write(packed)  # nobody to share a packet with
        else:
            if not self._unwritten:
                self._loop.call_soon(self._flush)
            self._unwritten.append(packed)
        self._asked.append((reply, deadline, len(packed)))
        self._bytes_asked += len(packed)
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look)

    def _flush(self) -> None:
        unwritten, self._unwritten = self._unwritten, []
        if self._ended is None:
            self._transport.write(b"".join(unwritten))

    def _send_held(self) -> None:
        """Sends what was held, the oldest first, as far as there is room."""
        while self._held and not self._is_full():
            reply, packed, timeout = self._held.popleft()
            if not reply.done():
                self._send(reply, packed, timeout)

    def data_received(self, data: bytes) -> None:
        """Resolves the requests whose replies are complete."""
        reader, asked = self._reader, self._asked
        reader.feed(data)
        try:
            while (answer := reader.gets()) is not _NOT_YET:
                if type(answer) is _Pushed:
                    continue  # RESP 3: said without being asked, and we have subscribed to nothing
                if not asked:
                    self._end(redis_errors.ConnectionError("the server answered what nobody asked"))
                    return
                reply, _, size = asked.popleft()
                self._bytes_asked -= size
                if isinstance(answer, Exception):
                    self._refused(reply, answer)
                elif not reply.done():
                    reply.set_result(answer)
        except redis_errors.InvalidResponse as error:
            self._end(redis_errors.ConnectionError(f"the server does not speak RESP: {error}"))
        if self._held:
            self._send_held()
        if not (asked or self.is_open):
            self._end(_given_up())

    def _refused(self, reply: asyncio.Future[Any], error: Exception) -> None:
        _fail(reply, error)
        if is_transient(error):  # a server that changes roles may not be the one that the address leads to now
            self.retire()

    def _look(self) -> None:
        """One timer for all deadlines: it looks at the oldest request."""
        self._timer = None
        if not self._asked:
            return
        reply, deadline, _ = self._asked[0]
        now = self._loop.time()
        if now < deadline:
            self._timer = self._loop.call_at(deadline, self._look)
        elif reply is not self._overdue:
            self._overdue = reply
            self._timer = self._loop.call_later(_SECOND_LOOK_SECONDS, self._look)
        else:
            self._end(redis_errors.TimeoutError("a reply did not come in time"))

    def pause_writing(self) -> None:
        """The socket takes no more: callers wait."""
        self._paused = True

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._paused = False
        self._send_held()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server, or something on the way to it, hung up."""
        cause = f": {exc}" if exc else ""
        self._end(redis_errors.ConnectionError(f"the connection was closed{cause}"))
        self._former.connection_lost(exc)
        self._gone.set()

    def _end(self, error: Exception) -> None:
        if self._ended is not None:
            return
        self._ended = error
        self.is_open = False
        self._connection.abort()
        if self._timer is not None:
            self._timer.cancel()
        self._unwritten.clear()
        replies = [entry[0] for entry in (*self._asked, *self._held)]
        self._asked.clear()
        self._held.clear()
        for reply in replies:
            _fail(reply, _copy(error))

    def hang_up(self) -> None:
        """Ends it, whatever is under way."""
        self._end(_given_up())

    async def close(self, error: Exception) -> None:
        """Ends it; who waits for a reply gets `error`."""
        self._end(error)
        await self._gone.wait()


def _fail(reply: asyncio.Future[Any], error: Exception) -> None:
    if not reply.done():
        reply.set_exception(error)


def _given_up() -> Exception:
    return redis_errors.ConnectionError("the connection was given up")


def _copy(error: Exception) -> Exception:
    """One error for each caller: raised by many, one object would gather all their tracebacks."""
    return type(error)(*error.args)
