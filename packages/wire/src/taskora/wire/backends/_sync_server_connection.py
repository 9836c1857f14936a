"""A connection for threads to the server that a URL names."""

import socket
import time
from collections.abc import Sequence
from typing import Any, Final

from taskora.wire._call import Arg
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._introduction import Settings, check_reply, introduction
from taskora.wire.backends._replies import NOT_YET, Pushed, make_reader, pack, tune


class SyncServerConnection:
    """See `SyncConnection`. A connection that was closed may connect again.

    Args:
        settings: Where the server is, and who we are there.
        reply_seconds: How long TLS and the greeting may take, and sending a command.
    """

    def __init__(self, settings: Settings, *, reply_seconds: float) -> None:
        self._socket: socket.socket | None = None
        self._settings: Final = settings
        self._reply_seconds: Final = reply_seconds
        self._parser = make_reader()

    def connect(self) -> None:
        """Connects, and introduces us to the server; does nothing where there is a connection."""
        if self._socket is not None:
            return
        settings = self._settings
        try:
            self._socket = _open(settings, self._reply_seconds)
        except TimeoutError as error:
            raise redis_errors.TimeoutError(f"Timeout connecting to {settings.where}") from error
        except OSError as error:
            raise settings.failure(error) from error
        self._parser = make_reader()
        try:
            commands = introduction(settings)
            with settings.introducing():
                self._write(b"".join(map(pack, commands)))
            for command in commands:
                with settings.introducing():
                    reply = self._next(self._reply_seconds)
                check_reply(command, reply)
        except BaseException:
            self.close()
            raise

    def send(self, args: Sequence[Arg]) -> None:
        """Sends one command."""
        self._write(pack(tuple(args)))

    def send_all(self, commands: Sequence[Sequence[Arg]]) -> None:
        """Sends several commands at once."""
        self._write(b"".join(pack(tuple(args)) for args in commands))

    def _write(self, data: bytes) -> None:
        if self._socket is None:
            raise _gone()
        try:
            self._socket.settimeout(self._reply_seconds)
            self._socket.sendall(data)
        except TimeoutError as error:
            raise redis_errors.TimeoutError(f"Timeout writing to {self._settings.where}") from error
        except OSError as error:
            raise redis_errors.ConnectionError(f"Error while writing to {self._settings.where}: {error}") from error

    def read(self, seconds: float) -> Any:
        """The next reply."""
        reply = self._next(seconds)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _next(self, seconds: float) -> Any:
        until = time.monotonic() + seconds
        while True:
            reply = self._parser.gets()
            if reply is NOT_YET:
                self._parser.feed(self._receive(until))
            elif type(reply) is not Pushed:
                return reply

    def _receive(self, until: float) -> bytes:
        if self._socket is None:
            raise _gone()
        try:
            self._socket.settimeout(max(until - time.monotonic(), 0.001))
            data = self._socket.recv(self._settings.socket_read_size)
        except TimeoutError as error:
            raise redis_errors.TimeoutError(f"Timeout reading from {self._settings.where}") from error
        except OSError as error:
            broken = redis_errors.ConnectionError(f"Error while reading from {self._settings.where}: {error}")
            raise self._settings.refusal(error) or broken from error
        if not data:
            raise _gone()
        return data

    def close(self) -> None:
        """Ends it. A forked child has to leave the connection alone, which is its parent's."""
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()

    def __del__(self) -> None:
        self.close()


def _gone() -> Exception:
    return redis_errors.ConnectionError("Connection closed by server.")


def _open(settings: Settings, reply_seconds: float) -> socket.socket:
    if settings.path is not None:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(settings.connect_seconds)
            connected.connect(settings.path)
        except BaseException:
            connected.close()
            raise
        return connected
    connected = socket.create_connection((settings.host, settings.port), settings.connect_seconds)
    try:
        tune(connected, keepalive=settings.socket_keepalive)
        return connected if settings.tls is None else _encrypt(connected, settings, reply_seconds)
    except BaseException:
        connected.close()
        raise


def _encrypt(connected: socket.socket, settings: Settings, reply_seconds: float) -> socket.socket:
    from taskora.wire.backends._tls import tls_context

    connected.settimeout(reply_seconds)
    return tls_context(settings.tls or {}).wrap_socket(connected, server_hostname=settings.host)
