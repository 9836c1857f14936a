"""Connections of the synchronous backend: one per thread that is busy."""

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol

from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends import _requests
from taskora.wire.backends._connection import SyncConnection
from taskora.wire.backends._requests import Request


class SyncConnections(Protocol):
    """What carries commands of threads."""

    def request(self, request: Request) -> Any:
        """One command and its reply."""
        ...

    def close(self) -> None:
        """Closes all idle connections; those in use are closed when their command ends."""
        ...


class SyncPool:
    """Connections to one server, made on demand and kept. A forked child makes its own."""

    def __init__(self, make_connection: Callable[[], SyncConnection]) -> None:
        self._make = make_connection
        self._is_left = False
        self._closed = False
        self._start_pool()

    def _start_pool(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._idle: list[SyncConnection] = []

    def request(self, request: Request) -> Any:
        """One command and its reply."""
        with self.borrow() as connection:
            return exchange(connection, request)

    @contextmanager
    def borrow(self) -> Generator[SyncConnection]:
        """A connected connection for one user; kept only if it is left clean."""
        if self._closed:
            raise _requests.closed()
        if self._pid != os.getpid():
            inherited = self._idle
            self._start_pool()
            for connection in inherited:
                connection.close()  # here only: the connection is the parent's
        with self._lock:
            connection = self._idle.pop() if self._idle else self._make()
        clean = False
        try:
            connection.connect()
            yield connection
            clean = True
        except Exception as error:
            if _requests.is_transient(error):
                self._close_idle()  # what broke one has often broken all: each would cost its next user a try
            else:
                clean = isinstance(error, redis_errors.ResponseError)
            raise
        finally:
            if clean and not self._is_left and not self._closed:
                with self._lock:
                    self._idle.append(connection)
            else:
                connection.close()

    def leave(self) -> None:
        """Nobody needs the server any more: closes what is idle, and keeps no connection from now on."""
        self._is_left = True
        self._close_idle()

    def close(self) -> None:
        """Closes all idle connections; those in use are closed when their command ends."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        with self._lock:
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()


def exchange(connection: SyncConnection, request: Request) -> Any:
    """One command and its reply, as bytes."""
    connection.send(request.args)
    return connection.read(request.timeout)
