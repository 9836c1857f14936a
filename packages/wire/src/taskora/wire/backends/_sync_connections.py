"""Connections of the synchronous backend: one per thread that is busy."""

import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends import _requests
from taskora.wire.backends._connection import SyncConnection
from taskora.wire.backends._requests import Request

# So many commands are written before the first reply is read.
MOST_TOGETHER: Final = 100


class SyncConnections(Protocol):
    """What carries commands of threads."""

    def request(self, request: Request) -> Any:
        """One command and its reply."""
        ...

    def request_all(self, requests: Sequence[Request]) -> list[Any]:
        """Several commands that do not depend on one another: the reply to each, or its error in the same place.

        Where a connection broke, those that were not answered may have been carried out.
        """
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

    def request_all(self, requests: Sequence[Request]) -> list[Any]:
        """Several commands in few round trips; see `SyncConnections.request_all`."""
        replies: list[Any] = []
        for start in range(0, len(requests), MOST_TOGETHER):
            replies += self._exchange_all(requests[start : start + MOST_TOGETHER])
        return replies

    def _exchange_all(self, requests: Sequence[Request]) -> list[Any]:
        """Writes all, then reads all. Each reply has its time, from when the one before it has come."""
        replies: list[Any] = []
        try:
            with self.borrow() as connection:
                connection.send_all([request.args for request in requests])
                while len(replies) < len(requests):
                    replies.append(_read(connection, requests[len(replies)]))
                if any(map(_is_passing, replies)):
                    self._close_idle()  # as after such an error that is raised; see `borrow`
                    connection.close()
        except _requests.FAILURES as error:
            # Only this one was refused, if any: whoever sends one of the others again has to mark it.
            others = len(requests) - len(replies) - 1
            replies += [error, *(_given_up(error) for _ in range(others))]
        return replies

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


def _read(connection: SyncConnection, request: Request) -> Any:
    """The next reply; what the server refuses is one too, and the others follow."""
    try:
        return connection.read(request.timeout)
    except redis_errors.ResponseError as error:
        return error


def _is_passing(reply: Any) -> bool:
    return isinstance(reply, Exception) and _requests.is_transient(reply)


def _given_up(error: Exception) -> Exception:
    return redis_errors.ConnectionError(f"the connection was given up: {error}")


def exchange(connection: SyncConnection, request: Request) -> Any:
    """One command and its reply, as bytes."""
    connection.send(request.args)
    return connection.read(request.timeout)
