"""Threads for handlers that are plain functions."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import TypeAlias

Call: TypeAlias = Callable[[], object]
Inbox: TypeAlias = "queue.SimpleQueue[tuple[Call, asyncio.Future[object]] | None]"


class ThreadPool:
    """Grows when all threads are busy and reuses those that are not.

    Unlike the pool of the standard library its threads are daemons: a handler that never returns must not keep the
    process from ending.
    """

    def __init__(self, name: str = "taskora-handler") -> None:
        self._name = name
        self._idle: list[Inbox] = []
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, call: Call) -> "asyncio.Future[object]":
        """Runs a call in a thread; to be used from the event loop."""
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = _new_inbox()
            threading.Thread(target=self._serve, args=(inbox,), name=self._name, daemon=True).start()
        inbox.put((call, future))
        return future

    def _serve(self, inbox: Inbox) -> None:
        while (work := inbox.get()) is not None:
            call, future = work
            try:
                result, error = call(), None
            except BaseException as raised:  # noqa: BLE001 - it is the caller's to judge
                result, error = None, raised
            with self._lock:
                if not self._closed:
                    self._idle.append(inbox)
            _deliver(future, result, error)
            del work, call, future, result, error
            if self._closed:
                return

    def close(self) -> None:
        """Lets idle threads end; busy ones end with their call."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for inbox in idle:
            inbox.put(None)


def _new_inbox() -> Inbox:
    return queue.SimpleQueue()


def _deliver(future: "asyncio.Future[object]", result: object, error: BaseException | None) -> None:
    def finish() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            # A future cannot hold StopIteration, and must not hold what would end the event loop.
            future.set_exception(
                error
                if isinstance(error, Exception) and not isinstance(error, StopIteration)
                else RuntimeError(f"handler raised {type(error).__name__}: {error}")
            )

    try:
        future.get_loop().call_soon_threadsafe(finish)
    except RuntimeError:
        return  # the event loop is closed: nobody waits any more
