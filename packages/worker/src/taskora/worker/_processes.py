"""Handlers in processes of their own, which can be killed and do not share the interpreter's lock."""

import asyncio
import atexit
import os
import pickle
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

from taskora.worker._context import Context, ContextPort
from taskora.worker._implementation import Implementation
from taskora.worker._process_messages import Call, ContextState, HandlerReference, reference_to
from taskora.worker._threads import ThreadPool

if TYPE_CHECKING:
    from taskora.worker._process_handle import Answer, ProcessHandle

# A killed process is gone at once, unless the kernel holds it in a call that cannot be interrupted.
_FRESH_TRIES: Final = 3
_KILL_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 6.0


def in_process(implementation: Implementation[Any, Any], pool: "ProcessPool") -> Callable[[Context], Awaitable[object]]:
    """Calls the handler in a process that runs one job at a time and is killed when its job has to stop.

    The process is a new interpreter ("spawn") that imports the handler by name, so the rules of the standard library
    hold: a script starts its worker under `if __name__ == "__main__":`, and data, result and errors must be picklable.
    An error that is not comes back as a `RuntimeError`. Context variables do not cross, nor does what the handler
    changes in `ctx`; `ctx.cancelled` is never set. Logging is what the handler's module sets up on import.

    Processes wait for the next job of their task when one is done, as many as ever ran at once. What a handler starts
    is killed with it, unless it made a session of its own.

    Raises:
        UsageError: the handler cannot be imported by its name.
    """
    # Now rather than with the first job. Few workers need it, and with it all of `multiprocessing`.
    from taskora.worker import _process_handle as _process_handle  # noqa: PLC0414

    reference = reference_to(implementation.handler, task=implementation.task)
    wants_context = implementation.wants_context

    def invoke(context: Context) -> Awaitable[object]:
        return pool.run(reference, context, wants_context=wants_context)

    return invoke


class ProcessPool:
    """Starts processes when jobs come, keeps those that are free, ends all of them. Used in one event loop.

    Whatever blocks happens in `threads`, which must be open for longer than the pool.
    """

    def __init__(self, threads: ThreadPool) -> None:
        self._threads: Final = threads
        self._owner: Final = os.getpid()
        self._started: dict[ProcessHandle, asyncio.Future[object]] = {}
        self._spares: defaultdict[HandlerReference, list[ProcessHandle]] = defaultdict(list)
        self._closed = False

    async def run(self, reference: HandlerReference, context: Context, *, wants_context: bool) -> object:
        """Runs one job; its process is killed if the caller is cancelled.

        Raises:
            Exception: what the handler raised.
            TypeError: data or result cannot cross.
            RuntimeError: the process died, or an error cannot cross.
        """
        call = cast("Call", await self._threads.submit(lambda: _packed(context, wants_context=wants_context)))
        answer = await self._run_once(reference, call, context)
        for _ in range(_FRESH_TRIES):
            if answer.began:
                break
            answer = await self._run_once(reference, call, context)  # it died while it was free: nothing ran
        if answer.error is not None:
            raise answer.error
        return answer.value

    async def _run_once(self, reference: HandlerReference, call: Call, context: Context) -> "Answer":
        process = await self._take(reference)
        running = self._threads.submit(lambda: process.run(call, _port_of(context)))
        try:
            answer = cast("Answer", await asyncio.shield(running))
        except BaseException:
            process.kill()
            # The job must be over when this returns: its cancel hook comes next.
            await asyncio.wait({self._discard(process)}, timeout=_KILL_SECONDS)
            raise
        self._give_back(reference, process)
        return answer

    async def _take(self, reference: HandlerReference) -> "ProcessHandle":
        if self._closed:
            raise RuntimeError("the worker is closed")
        process = self._spare(reference) or self._start(reference)
        try:
            await asyncio.shield(self._started[process])
        except asyncio.CancelledError:
            # Importing may take longer than a job is given; the next attempt finds a process that is ready.
            self._spares[reference].insert(0, process)
            raise
        except BaseException:
            self._started.pop(process, None)
            raise
        return process

    def _spare(self, reference: HandlerReference) -> "ProcessHandle | None":
        spares = self._spares[reference]
        while spares:
            process = spares.pop()
            if not self._started[process].done() or process.is_alive():
                return process
            self._discard(process)
        return None

    def _start(self, reference: HandlerReference) -> "ProcessHandle":
        if not self._started:
            atexit.register(self.kill)
        from taskora.worker._process_handle import ProcessHandle

        process = ProcessHandle(reference)
        self._started[process] = self._threads.submit(process.start)
        return process

    def _give_back(self, reference: HandlerReference, process: "ProcessHandle") -> None:
        if self._closed or process.ended:
            self._discard(process)
        else:
            self._spares[reference].append(process)

    def _discard(self, process: "ProcessHandle") -> "asyncio.Future[object]":
        started = self._started.pop(process, None)
        if started is not None and started.done():
            started.exception()  # nobody waits for it any more
        return self._threads.submit(process.end)

    async def close(self) -> None:
        """Ends every process within a few seconds; busy ones at once."""
        self._closed = True
        free = {process for spares in self._spares.values() for process in spares}
        for process, started in self._started.items():
            if process not in free or not started.done():
                process.kill()
        ends = [self._discard(process) for process in tuple(self._started)]
        self._spares.clear()
        if ends:
            await asyncio.wait(ends, timeout=_CLOSE_SECONDS)
        atexit.unregister(self.kill)

    def kill(self) -> None:
        """For programs that cannot close their worker: one that just ends would wait for its children for ever."""
        if os.getpid() == self._owner:
            for process in tuple(self._started):
                process.kill()


def _packed(context: Context, *, wants_context: bool) -> Call:
    try:
        data = pickle.dumps(context.data, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        name = f"{type(context.data).__module__}.{type(context.data).__qualname__}"
        raise TypeError(f"the handler takes a {name}, which cannot be sent to its process: {error}") from error
    return Call(data=data, context=ContextState.of(context) if wants_context else None)


def _port_of(context: Context) -> ContextPort:
    return context._port
