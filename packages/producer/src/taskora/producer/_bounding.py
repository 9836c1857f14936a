"""Calls that end in time, whatever they wait for."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

R = TypeVar("R")


def within(seconds: float, call: Callable[[threading.Event], R]) -> R:
    """What a call returns or raises.

    The call is made in a thread of its own: a blocking read of a server that does not answer cannot be ended from here.
    One that takes too long, or whose caller was interrupted, is told by the event that it is given, and its outcome is
    dropped; the interpreter does not wait for it.

    Raises:
        TimeoutError: the call took longer.
    """
    future: Future[R] = Future()
    abandoned = threading.Event()
    threading.Thread(target=_settle, args=(future, call, abandoned), name="taskora-wait", daemon=True).start()
    try:
        return future.result(seconds)
    finally:
        abandoned.set()


def _settle(future: Future[R], call: Callable[[threading.Event], R], abandoned: threading.Event) -> None:
    try:
        future.set_result(call(abandoned))
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
        future.set_exception(error)
