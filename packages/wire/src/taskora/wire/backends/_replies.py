"""Bytes from a server, and to it, with hiredis."""

import socket
from collections.abc import Callable
from typing import Any, Final, cast

import hiredis

from taskora.wire._call import Arg
from taskora.wire.backends import _redis_errors as redis_errors

NOT_YET: Final = object()
Pushed: Final = hiredis.PushNotification

# Its type hint says "a tuple of one".
pack: Final = cast("Callable[[tuple[Arg, ...]], bytes]", hiredis.pack_command)

# A connection whose other end is gone without a word is noticed after so many seconds and unanswered questions.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))


def make_reader() -> hiredis.Reader:
    """Takes bytes and gives replies, `NOT_YET` where one is incomplete, and errors as values.

    Raises:
        InvalidResponse: the bytes are not RESP, from `gets`.
    """
    return hiredis.Reader(
        protocolError=redis_errors.InvalidResponse,
        replyError=cast("Callable[[str], Exception]", redis_errors.error_of),
        notEnoughData=NOT_YET,
    )


def tune(tcp: socket.socket, *, keepalive: bool) -> None:
    """Sends small packets at once, and asks the operating system to look whether the other end is there."""
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if keepalive:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            option: Any = getattr(socket, name, None)  # not every system has them all
            if option is not None:
                tcp.setsockopt(socket.IPPROTO_TCP, option, value)
