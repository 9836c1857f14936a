"""Calls that end in time, whatever they wait for."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

R = TypeVar("R")


def within(seconds: float, call: Callable[[], R]) -> R:
    """What a call returns or raises.

    The call is made in a thread of its own: a blocking read of a server that does not answer cannot be ended from here.
    One that takes too long goes on in there, and its outcome is dropped; the interpreter does not wait for it.

    Raises:
        TimeoutError: the call took longer.
    """
    future: Future[R] = Future()
    threading.Thread(target=_settle, args=(future, call), name="taskora-wait", daemon=True).start()
    return future.result(seconds)


def _settle(future: Future[R], call: Callable[[], R]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
        future.set_exception(error)
