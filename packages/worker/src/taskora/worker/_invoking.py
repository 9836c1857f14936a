"""Calling a handler: in the event loop, in a thread, or in a process of its own."""

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from taskora.worker._attempt import StopReason
from taskora.worker._context import Context
from taskora.worker._handlers import Invoker
from taskora.worker._implementation import Implementation
from taskora.worker._threads import ThreadPool

if TYPE_CHECKING:
    from taskora.worker._processes import ProcessPool


def invoker_for(implementation: Implementation[Any, Any], threads: ThreadPool, processes: "ProcessPool") -> Invoker:
    """How the handler of a task is called."""
    match implementation.executor:
        case "async":
            return in_event_loop(implementation)
        case "thread":
            return in_thread(implementation, threads)
        case "process":
            from taskora.worker._processes import in_process

            return in_process(implementation, processes)


def in_event_loop(implementation: Implementation[Any, Any]) -> Invoker:
    """Awaits the handler."""
    handler = implementation.handler
    if implementation.wants_context:
        return lambda context: handler(context.data, context)
    return OnData(handler)


class OnData:
    """Awaits a handler that takes the data alone."""

    __slots__ = ("handler",)

    def __init__(self, handler: Callable[[Any], Awaitable[object]]) -> None:
        self.handler: Final = handler

    def __call__(self, context: Context) -> Awaitable[object]:
        return self.handler(context.data)


def in_thread(implementation: Implementation[Any, Any], pool: ThreadPool) -> Invoker:
    """Calls the handler in a thread, which sees the caller's context variables.

    A thread cannot be stopped. A handler whose job was cancelled is waited for, so that its cancel hook never runs
    beside it, and so is one that has to end because the worker does; one that ran out of time, or lost its lease, is
    left behind. A second cancellation means that nobody waits any longer.
    """
    handler = implementation.handler
    waited_for = (StopReason.CANCELLED.value, StopReason.SHUTDOWN.value)

    async def invoke(context: Context) -> object:
        variables = contextvars.copy_context()
        arguments = (context.data, context) if implementation.wants_context else (context.data,)
        running = pool.submit(lambda: variables.run(handler, *arguments))
        running.add_done_callback(_mark_as_seen)
        try:
            result = await asyncio.shield(running)
        except asyncio.CancelledError:
            if context.cancelled.reason not in waited_for:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            result = await asyncio.shield(running)
        return await _awaited(result)

    return invoke


async def _awaited(result: object) -> object:
    """What a plain function returned; a wrapper around an `async def` returns its coroutine."""
    return await result if inspect.iscoroutine(result) else result


def _mark_as_seen(done: "asyncio.Future[object]") -> None:
    """A thread that was left behind may fail when nobody asks for its error any more."""
    if not done.cancelled():
        done.exception()
