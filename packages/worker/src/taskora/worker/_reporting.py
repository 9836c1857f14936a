"""Progress and log entries on their way to the job: in order, batched, and written before the outcome."""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeAlias

from taskora.contracts import BackendError
from taskora.wire import Backend, Claim, ExtendLeases, Lease, LeaseState, Report, ReportEntry
from taskora.worker._context import ReportKind

logger = logging.getLogger("taskora.worker")

_BATCH: Final = 500

OnLease: TypeAlias = Callable[[Lease, LeaseState], None]


class Reporter:
    """Writes what the handlers of one task report. Reports of jobs whose lease has ended are refused by the storage."""

    def __init__(self, backend: Backend, task: str, *, lease_ms: int, on_lease: OnLease) -> None:
        self._backend: Final = backend
        self._task: Final = task
        self._lease_ms: Final = lease_ms
        self._on_lease: Final = on_lease
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._queue: list[ReportEntry] = []
        self._unwritten: Counter[str] = Counter()
        self._writer: asyncio.Task[None] | None = None
        self._heartbeats: Final[set[Lease]] = set()
        self._renewer: asyncio.Task[None] | None = None

    def submit(self, entry: ReportEntry) -> None:
        """Takes an entry, from any thread."""
        if threading.get_ident() == self._thread:
            self._enqueue(entry)
        else:
            self._call(self._enqueue, entry)

    def renew(self, claim: Claim) -> None:
        """Renews a lease soon, from any thread; once, however often it is asked for meanwhile."""
        self._call(self._note_heartbeat, Lease(job_id=claim.job_id, token=claim.token))

    def _call(self, function: object, argument: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, argument)  # type: ignore[arg-type]  # a function of one argument
        except RuntimeError:
            return  # the loop is closed: a thread that was left behind talks to nobody

    def _enqueue(self, entry: ReportEntry) -> None:
        self._queue.append(entry)
        self._unwritten[entry.job_id] += 1
        if self._writer is None:
            self._writer = self._loop.create_task(self._write())

    async def drain(self, job_id: str) -> None:
        """Waits until everything that was reported for a job has been written."""
        while job_id in self._unwritten and self._writer is not None:
            await asyncio.shield(self._writer)

    async def _write(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue[:_BATCH], self._queue[_BATCH:]
                try:
                    await self._backend.run(Report(task=self._task, entries=batch))
                except BackendError as error:
                    logger.warning(
                        "reports_dropped", extra={"task": self._task, "entries": len(batch), "error": str(error)}
                    )
                except Exception:
                    logger.exception("reports_dropped", extra={"task": self._task, "entries": len(batch)})
                self._forget(batch)
        finally:
            self._writer = None

    def close(self) -> None:
        """Writes nothing more."""
        for task in (self._writer, self._renewer):
            if task is not None:
                task.cancel()

    def _forget(self, batch: list[ReportEntry]) -> None:
        for entry in batch:
            left = self._unwritten[entry.job_id] - 1
            if left > 0:
                self._unwritten[entry.job_id] = left
            else:
                del self._unwritten[entry.job_id]

    def _note_heartbeat(self, lease: Lease) -> None:
        self._heartbeats.add(lease)
        if self._renewer is None:
            self._renewer = self._loop.create_task(self._renew_all())

    async def _renew_all(self) -> None:
        try:
            while self._heartbeats:
                await self._renew([self._heartbeats.pop() for _ in range(min(len(self._heartbeats), _BATCH))])
        finally:
            self._renewer = None

    async def _renew(self, leases: list[Lease]) -> None:
        try:
            states = await self._backend.run(ExtendLeases(task=self._task, lease_ms=self._lease_ms, leases=leases))
        except Exception as error:
            unforeseen = None if isinstance(error, BackendError) else error
            about = {"task": self._task, "error": str(error)}
            logger.warning("lease_renewal_failed", extra=about, exc_info=unforeseen)
            return
        for lease, state in zip(leases, states, strict=True):
            if state is not LeaseState.HELD:
                self._on_lease(lease, state)


class JobPort:
    """The reporting end of one attempt's context.

    Attributes:
        spawned: What the step shall be followed by.
    """

    __slots__ = ("_claim", "_reporter", "spawned")

    def __init__(self, reporter: Reporter, claim: Claim) -> None:
        self._reporter = reporter
        self._claim = claim
        self.spawned: list[bytes] = []

    def report(self, kind: ReportKind, payload: bytes) -> None:
        """Sends progress, or a log entry; keeps what was spawned until the attempt has its result."""
        if kind == "spawn":
            self.spawned.append(payload)
            return
        claim = self._claim
        self._reporter.submit(ReportEntry(kind=kind, job_id=claim.job_id, token=claim.token, payload=payload))

    def heartbeat(self) -> None:
        """Renews the lease now."""
        self._reporter.renew(self._claim)
