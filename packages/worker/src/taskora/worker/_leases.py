"""The leases of this worker, and the thread that renews them.

The thread has its own connection and does not use the event loop: a handler that blocks the loop must not lose the
right to run, or its job would run twice.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from taskora.contracts import BackendError
from taskora.wire import ExtendLeases, Lease, LeaseState, SyncBackend
from taskora.worker._rounds import worst

logger = logging.getLogger("taskora.worker")

_BATCH: Final = 500
_NAMED_IN_LOGS: Final = 10
_RETRY_SECONDS: Final = 1.0
_LAG_WARNING_SECONDS: Final = 1.0
# How long a worker that closes waits for a renewal that is under way.
_STOP_SECONDS: Final = 2.0


class LeaseHolder(Protocol):
    """Who has leases of one task, and has to know what became of them."""

    def leases(self) -> list[Lease]:
        """The leases that are held now. Called in the renewer's thread."""
        ...

    def lease_changed(self, lease: Lease, state: LeaseState) -> None:
        """A lease was lost, or its job is to be cancelled. Called in the event loop."""
        ...


class LeaseRenewer:
    """Renews every lease of a worker three times within its lifetime."""

    def __init__(
        self,
        make_backend: Callable[[], SyncBackend],
        holders: Mapping[str, LeaseHolder],
        *,
        lease_ms: int,
        on_trouble: Callable[[BaseException], None],
    ) -> None:
        self._make_backend: Final = make_backend
        self._holders: Final = holders
        self._lease_ms: Final = lease_ms
        self._interval: Final = lease_ms / 3000
        self._on_trouble: Final = on_trouble
        self._wake = threading.Event()
        self._stopping = False
        self._ended: Final = asyncio.Event()
        self._thread: threading.Thread | None = None
        self._pinged_at: float | None = None

    def start(self) -> None:
        """Starts the thread."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, args=(loop,), name="taskora-leases", daemon=True)
        self._thread.start()

    def renew_now(self) -> None:
        """Renews everything soon: a renewal also tells of cancellations whose message was missed."""
        self._wake.set()

    async def stop(self) -> None:
        """Ends the thread, and waits for it without blocking the event loop, unless its server hangs."""
        self._stopping = True
        self._wake.set()
        if self._thread is None:
            return
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            logger.warning("lease_renewer_left_behind")
        else:
            self._thread.join()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Renews until it is stopped. Nothing may end this thread: all leases would be lost."""
        backend: SyncBackend | None = None
        pause = self._interval
        try:
            while not loop.is_closed():
                self._wake.wait(pause)
                self._wake.clear()
                if self._stopping:
                    return
                backend = backend or self._open(loop)
                renewed = backend is not None and self._renew_all(loop, backend)
                pause = self._interval if renewed else min(_RETRY_SECONDS, self._interval)
        finally:
            try:
                if backend is not None:
                    backend.close()
            finally:
                _call(loop, self._ended.set)

    def _open(self, loop: asyncio.AbstractEventLoop) -> SyncBackend | None:
        try:
            return self._make_backend()
        except Exception as error:  # noqa: BLE001 - it is tried again, whatever it was
            self._report(loop, error)
            return None

    def _renew_all(self, loop: asyncio.AbstractEventLoop, backend: SyncBackend) -> bool:
        """Renews every lease; false if that failed for some. An error with one task concerns no other."""
        self._measure_lag(loop)
        failed: list[tuple[str, Exception]] = []
        for task, holder in self._holders.items():
            if self._stopping:
                break
            try:
                self._renew(loop, backend, task, holder)
            except Exception as error:  # noqa: BLE001 - it is tried again, whatever it was
                failed.append((task, error))
        if failed:  # said once, for a server that is away fails all of its tasks
            self._report(loop, worst(failed), failed=len(failed), among=[task for task, _ in failed[:_NAMED_IN_LOGS]])
        return not failed

    def _report(self, loop: asyncio.AbstractEventLoop, error: Exception, **about: object) -> None:
        unforeseen = None if isinstance(error, BackendError) else error
        logger.warning("lease_renewal_failed", extra={"error": str(error), **about}, exc_info=unforeseen)
        _call(loop, self._on_trouble, error)

    def _renew(self, loop: asyncio.AbstractEventLoop, backend: SyncBackend, task: str, holder: LeaseHolder) -> None:
        leases = holder.leases()
        for start in range(0, len(leases), _BATCH):
            batch = leases[start : start + _BATCH]
            states = backend.run(ExtendLeases(task=task, lease_ms=self._lease_ms, leases=batch))
            for lease, state in zip(batch, states, strict=True):
                if state is not LeaseState.HELD:
                    _call(loop, holder.lease_changed, lease, state)

    def _measure_lag(self, loop: asyncio.AbstractEventLoop) -> None:
        """Notices an event loop that is blocked: leases survive it, but nothing else moves meanwhile."""
        now = time.monotonic()
        if self._pinged_at is not None:
            logger.warning("event_loop_blocked", extra={"seconds": round(now - self._pinged_at, 3)})
            return
        self._pinged_at = now
        _call(loop, self._pong, now)

    def _pong(self, sent: float) -> None:
        self._pinged_at = None
        lag = time.monotonic() - sent
        if lag > _LAG_WARNING_SECONDS:
            logger.warning("event_loop_lagged", extra={"seconds": round(lag, 3)})


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: object) -> None:
    with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody is left to be told
        loop.call_soon_threadsafe(function, *arguments)
