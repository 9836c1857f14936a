"""One run of one job, and why it was stopped if it was."""

import asyncio
from collections.abc import Sequence
from enum import Enum
from typing import Any

from taskora.wire import Claim
from taskora.worker._context import Context
from taskora.worker._implementation import Implementation
from taskora.worker._reporting import JobPort, Reporter


class StopReason(Enum):
    """Why an attempt was told to stop."""

    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    LEASE_LOST = "lease lost"
    SHUTDOWN = "shutdown"


class Attempt:
    """A claim, the task of the event loop that runs it, and what has become of it.

    Attributes:
        data: What the claim holds, once it is decoded.
        port: What the handler reports through; None as long as nobody asked for the context.
        claimed_ms: When its time began, by the storage's clock: when it was claimed, or its turn came.
        slot_since: Since when it has its slot or waits for it, by the monotonic clock; 0 where nobody wants to know.
        began: Whether middleware, or the handler, has seen the job.
        lease_lost: Whether that is why it was told to stop: whatever it has done must not be stored.
    """

    __slots__ = (
        "_context",
        "_implementation",
        "_reporter",
        "began",
        "claim",
        "claimed_ms",
        "data",
        "decoded",
        "ended",
        "error",
        "lease_lost",
        "port",
        "runner",
        "slot_since",
        "started",
        "stop_reason",
    )

    def __init__(
        self, claim: Claim, implementation: Implementation[Any, Any], reporter: Reporter, claimed_ms: int
    ) -> None:
        self.claim = claim
        self._implementation = implementation
        self._reporter = reporter
        self.claimed_ms = claimed_ms
        self._context: Context | None = None
        self.port: JobPort | None = None
        self.data: object = None
        self.runner: asyncio.Task[None] | None = None
        self.stop_reason: StopReason | None = None
        self.error: BaseException | None = None
        self.slot_since = 0.0
        self.started = self.decoded = self.began = self.lease_lost = self.ended = False

    @property
    def context(self) -> Context:
        """What others may know of this. It is made for who asks first; the data has to be there by then."""
        if self._context is None:
            implementation = self._implementation
            self.port = JobPort(self._reporter, self.claim)
            self._context = Context(
                self.claim,
                self.port,
                task=implementation.task,
                max_attempts=implementation.retry.attempts,
                timeout_ms=implementation.timeout_ms,
                claimed_ms=self.claimed_ms,
            )
            self._context.data = self.data
            self._tell_why()
        return self._context

    @property
    def spawned(self) -> Sequence[bytes]:
        """What the step shall be followed by."""
        return () if self.port is None else self.port.spawned

    def stop(self, reason: StopReason) -> bool:
        """Asks the attempt to stop; the first reason counts. False if it has ended or was asked before.

        A lost lease outranks every other reason.
        """
        if self.ended:
            return False
        is_first = self.stop_reason is None
        if is_first or reason is StopReason.LEASE_LOST:
            self.stop_reason = reason
            self.lease_lost = reason is StopReason.LEASE_LOST
            self._tell_why()
        # A task that is cancelled before its first step never runs, and could not say how it ended.
        if is_first and self.runner is not None and self.started:
            self.runner.cancel()
        return is_first

    def _tell_why(self) -> None:
        if self._context is not None and self.stop_reason is not None:
            self._context.cancelled.set(self.stop_reason.value)
