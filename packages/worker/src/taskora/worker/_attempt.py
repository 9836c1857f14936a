"""One run of one job, and why it was stopped if it was."""

import asyncio
from enum import Enum

from taskora.wire import Claim
from taskora.worker._context import Context
from taskora.worker._deadlines import Deadline


class StopReason(Enum):
    """Why an attempt was told to stop."""

    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    LEASE_LOST = "lease lost"
    SHUTDOWN = "shutdown"


class Attempt:
    """A claim, its context, and the task of the event loop that runs it."""

    __slots__ = (
        "began",
        "claim",
        "context",
        "deadline",
        "decoded",
        "ended",
        "error",
        "runner",
        "spawned",
        "started",
        "stop_reason",
    )

    def __init__(self, claim: Claim, context: Context, spawned: list[bytes] | None = None) -> None:
        self.claim = claim
        self.context = context
        self.spawned = [] if spawned is None else spawned
        self.runner: asyncio.Task[None] | None = None
        self.deadline: Deadline[Attempt] | None = None
        self.stop_reason: StopReason | None = None
        self.error: BaseException | None = None
        self.started = False
        self.decoded = False
        self.began = False  # middleware, or the handler, has seen the job
        self.ended = False

    def stop(self, reason: StopReason) -> bool:
        """Asks the attempt to stop; the first reason counts. False if it has ended or was asked before.

        A lost lease outranks every other reason: whatever the attempt still does must not be stored.
        """
        if self.ended:
            return False
        if self.stop_reason is not None:
            if reason is StopReason.LEASE_LOST:
                self.stop_reason = reason
                self.context.cancelled.set(reason.value)
            return False
        self.stop_reason = reason
        self.context.cancelled.set(reason.value)
        # A task that is cancelled before its first step never runs, and could not say how it ended.
        if self.runner is not None and self.started:
            self.runner.cancel()
        return True
