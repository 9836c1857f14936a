"""Workers that answer what a test wants, for tests of producers."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, Self, TypeVar, cast

from taskora.contracts import Retry, TaskContract, UsageError
from taskora.producer import Payloads
from taskora.wire import Serializer
from taskora.wire.backends import Target
from taskora.worker import Context, Worker

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output

_NOTHING: Final[Any] = object()


class FakeWorker(Generic[I]):
    """A worker for one contract, on any storage, that notes what it is asked.

    `async with` runs it in the event loop of the test, `with` in a thread of its own.

    Attributes:
        received: The inputs of the jobs that began, in order.
    """

    def __init__(self, make: Callable[[], Worker], received: list[I]) -> None:
        self.received: Final = received
        self._make: Final = make
        self._worker: Worker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        self._worker = self._make()
        await self._worker.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._worker is not None:
            await self._worker.close(timeout=0)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="taskora-fake-worker", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.__aenter__(), self._loop).result()
        except BaseException:
            self._end_thread(self._loop, self._thread)
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._loop is not None
        assert self._thread is not None
        try:
            asyncio.run_coroutine_threadsafe(self.__aexit__(), self._loop).result()
        finally:
            self._end_thread(self._loop, self._thread)

    def _end_thread(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def fake_worker(
    contract: TaskContract[I, O],
    *,
    result: O = _NOTHING,
    error: BaseException | type[BaseException] | None = None,
    handler: Callable[..., Any] | None = None,
    target: Target = "memory://",
    prefix: str | None = None,
    serializer: Serializer | None = None,
) -> FakeWorker[I]:
    """A worker that gives every job of a contract the same answer, once it is entered as a context manager.

    Args:
        contract: Whose jobs it runs; as producers know it.
        result: What every job returns.
        error: What every job fails with, at once: there are no retries.
        handler: Decides per job, as any handler of a worker.
        target: Where the producers under test send their jobs; `"memory://"` is that of this process.
        prefix: That of the producers.
        serializer: That of the producers.

    Raises:
        UsageError: not exactly one of `result`, `error` and `handler` is given.
        ValidationError: the result does not fit the contract.
    """
    if (result is not _NOTHING) + (error is not None) + (handler is not None) != 1:
        raise UsageError("give fake_worker() one of result=, error= and handler=")
    if result is not _NOTHING:
        Payloads(contract, serializer).output.pack(result)
    received: list[I] = []

    async def note(ctx: Context, call_next: Callable[[], Any]) -> None:
        received.append(cast("I", ctx.data))
        await call_next()

    async def answer(data: Any) -> Any:
        if error is not None:
            raise error
        return result

    def make() -> Worker:
        worker = Worker(target, prefix=prefix, serializer=serializer, middleware=[note])
        if contract.collect is None:
            worker.implement(contract, handler or answer, retry=Retry(attempts=1))
        else:
            worker.implement(contract, handler or answer, collect=contract.collect, retry=Retry(attempts=1))
        return worker

    return FakeWorker(make, received)
