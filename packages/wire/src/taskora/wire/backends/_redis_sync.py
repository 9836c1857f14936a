"""Redis and Valkey, for threads."""

import os
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from redis import exceptions as redis_errors

from taskora.wire._backend import Clock
from taskora.wire._events import StreamEvent
from taskora.wire._flows import Pause, drive
from taskora.wire._handshake import handshake
from taskora.wire._keys import Keyspace
from taskora.wire._operations import Operation
from taskora.wire.backends import _resp
from taskora.wire.backends._resp import Request

R = TypeVar("R")


class SyncRedisBackend:
    """The synchronous twin of `RedisBackend`. One connection per thread that is busy; a forked child makes its own."""

    def __init__(
        self,
        make_connection: Callable[[], Any],
        *,
        keyspace: Keyspace,
        clock: Clock | None = None,
    ) -> None:
        self._make = make_connection
        self._keyspace = keyspace
        self._clock = clock
        self._ready = False
        self._closed = False
        self._start_pool()

    def _start_pool(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._idle: list[Any] = []

    def run(self, operation: Operation[R]) -> R:
        """Carries out one operation; see `SyncBackend.run`."""
        if not self._ready:
            # Two threads may do this at once; both checks only read, or write what is already there.
            drive(_resp.check_server(), self._perform)
            drive(handshake(), self._perform)
            self._ready = True
        return self._run(operation)

    def _run(self, operation: Operation[R]) -> R:
        return drive(_resp.operation_requests(operation, self._keyspace, self._clock), self._perform)

    def _perform(self, step: Request | Pause | Operation[Any]) -> Any:
        if isinstance(step, Request):
            return self._request(step)
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        return self._run(step)

    def _request(self, request: Request) -> Any:
        with self._borrow() as connection:
            connection.send_command(*request.args)
            return connection.read_response(disable_decoding=True, timeout=request.timeout)

    @contextmanager
    def _borrow(self) -> Generator[Any]:
        if self._closed:
            raise _resp.closed()
        if self._pid != os.getpid():
            self._start_pool()  # the sockets belong to the parent
        with self._lock:
            connection = self._idle.pop() if self._idle else self._make()
        clean = False
        try:
            connection.connect()
            yield connection
            clean = True
        except Exception as error:
            if _resp.is_transient(error):
                self._close_idle()  # what broke one has often broken all: each would cost its next user a try
            else:
                clean = isinstance(error, redis_errors.ResponseError)
            raise
        finally:
            if clean and not self._closed:
                with self._lock:
                    self._idle.append(connection)
            else:
                connection.disconnect()

    def read_events(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Reads events; see `SyncBackend.read_events`."""
        request = _resp.events_request(self._keyspace, dict(positions), block_ms, limit)
        try:
            return _resp.decode_events(self._keyspace, self._request(request))
        except _resp.FAILURES as error:
            raise _resp.translate(error) from error

    def close(self) -> None:
        """Closes all idle connections; those in use are closed when their command ends."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        with self._lock:
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.disconnect()
