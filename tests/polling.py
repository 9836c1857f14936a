"""Waiting in tests: poll with a deadline, never sleep for a guessed time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

INTERVAL_S = 0.005


def eventually(predicate: Callable[[], T], deadline: float = 5.0) -> T:
    """Call `predicate` until it returns something true, and return that.

    Raises:
        AssertionError: `deadline` seconds passed; the message holds the last value.
    """
    give_up_at = time.monotonic() + deadline
    while not (value := predicate()):
        if time.monotonic() >= give_up_at:
            raise AssertionError(_message(predicate, value, deadline))
        time.sleep(INTERVAL_S)
    return value


@overload
async def aeventually(predicate: Callable[[], Awaitable[T]], deadline: float = 5.0) -> T: ...
@overload
async def aeventually(predicate: Callable[[], T], deadline: float = 5.0) -> T: ...
async def aeventually(predicate: Callable[[], Any], deadline: float = 5.0) -> Any:
    """Like `eventually`, without blocking the event loop; `predicate` may be a coroutine function."""
    give_up_at = time.monotonic() + deadline
    while not (value := await _settled(predicate())):
        if time.monotonic() >= give_up_at:
            raise AssertionError(_message(predicate, value, deadline))
        await asyncio.sleep(INTERVAL_S)
    return value


async def _settled(outcome: Any) -> Any:
    return await outcome if inspect.isawaitable(outcome) else outcome


def _message(predicate: Callable[[], object], value: object, deadline: float) -> str:
    name = getattr(predicate, "__qualname__", repr(predicate))
    return f"{name} was still {value!r} after {deadline} s"
