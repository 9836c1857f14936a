"""The loop of one task: settle what ended, claim what is ready, in one round trip.

Outcomes that gather while a round trip is under way leave together with the next one. An idle lane answers at once; a
busy one pays one round trip per batch.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from taskora.contracts import BackendError
from taskora.wire import Backend, Exchange, Exchanged, Outcome, OutcomeKind, Settlement, pause_after, random_id
from taskora.worker._attempt import Attempt, StopReason
from taskora.worker._executor import Executor
from taskora.worker._implementation import Implementation
from taskora.worker._outbox import Ended, Outbox
from taskora.worker._patience import patience_ms
from taskora.worker._running import RunningAttempts
from taskora.worker._workflow_teller import WorkflowTeller
from taskora.worker._workflow_troubles import WorkflowTroubles

logger = logging.getLogger("taskora.worker")

_LARGEST_CLAIM: Final = 500
# From how many on a lane claims in two halves: one runs while the other is fetched.
_MANY_SLOTS: Final = 16
# One for the task that sends to run, one for an event loop that writes when a round of callbacks is over.
_ROUNDS_TO_WRITE: Final = 2
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
# A lane that has to stop, and whose server does not answer, gives up after so many round trips.
_LAST_TRIES: Final = 5


class FailureListener(Protocol):
    """Who wants to hear of failed attempts."""

    def __call__(self, attempt: Attempt, outcome: Outcome, implementation: Implementation[Any, Any]) -> None:
        """An attempt failed, and this is stored."""
        ...


class Lane:
    """Runs the jobs of one task in this worker."""

    def __init__(
        self,
        backend: Backend,
        implementation: Implementation[Any, Any],
        executor: Executor,
        *,
        lease_ms: int,
        on_failure: FailureListener,
        on_trouble: Callable[[BaseException], None],
        wake: asyncio.Event | None = None,
        troubles: WorkflowTroubles | None = None,
    ) -> None:
        self.attempts: Final = RunningAttempts(
            backend, implementation, executor, lease_ms=lease_ms, on_end=self._attempt_ended
        )
        self._backend: Final = backend
        self._implementation: Final = implementation
        self._lease_ms: Final = lease_ms
        self._on_failure: Final = on_failure
        self._on_trouble: Final = on_trouble
        self._ended: Final = Outbox()
        self._unsent: tuple[Exchange, list[Ended]] | None = None
        self._arrived: Exchanged | None = None  # its claims start while the next round trip is under way
        self._look = True
        self._stopped: Final = asyncio.Event()
        self._stopping = False  # the same, to be asked several times per round trip
        self._wake: Final = wake or asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._clock_offset_ms: float | None = None
        self._due_ms: int | None = None
        self._failures = 0
        self.teller: Final = WorkflowTeller(
            backend,
            implementation.task,
            on_done=self._wake.set,
            on_trouble=on_trouble,
            troubles=troubles or WorkflowTroubles(),
        )

    @property
    def task(self) -> str:
        """Name of the task."""
        return self._implementation.task

    @property
    def now_ms(self) -> int | None:
        """The storage's clock, as far as it is known; a little behind rather than ahead."""
        return None if self._clock_offset_ms is None else int(self._clock_offset_ms + time.monotonic() * 1000)

    async def run(self) -> None:
        """Works until `stop_claiming` was called and every attempt is settled."""
        try:
            while not self._drained():
                if self._unsent or self._ended or self._look:
                    await self._exchange()
                else:
                    await self._wait()
        finally:
            self.attempts.close()
            self.teller.close()
            if self._watch is not None:
                self._watch.cancel()

    def _drained(self) -> bool:
        if not self._stopping or self.attempts.running:
            return False
        if self._failures > _LAST_TRIES:
            # Leases run out, and whoever sweeps then gives the jobs back.
            logger.error("lane_gave_up", extra={"task": self.task, "outcomes": len(self.attempts)})
            return True
        outcomes = self.attempts or self._ended or self._unsent
        return not (outcomes or self._arrived or self._look or self.teller.busy)

    @property
    def has_outcomes(self) -> bool:
        """Whether attempts ended whose outcomes are not stored yet."""
        return bool(self._ended)

    async def step(self, *, most: int = _LARGEST_CLAIM) -> Exchanged:
        """One round trip that claims at most so many jobs, for whoever drives this lane by hand instead of by `run`.

        What goes wrong is raised.
        """
        operation, batch = self._next_exchange(most)
        try:
            reply = await self._backend.run(operation)
        except BaseException:
            self._ended.put_back(batch)
            self.attempts.claims_known()
            raise
        self._settle(batch, reply)
        self._start_claims(reply)
        await self.teller.flush()
        return reply

    def free_slots(self) -> int:
        """How many jobs this lane may claim now."""
        about_to_run = len(self._arrived.claims) if self._arrived else 0
        free = self._implementation.concurrency - self.attempts.running - about_to_run
        return 0 if self._stopping or free < 0 else free

    def _claim_size(self) -> int:
        """How many jobs to ask for at once: of many no more than half, so that the others run meanwhile."""
        free = self.free_slots()
        if self._implementation.concurrency >= _MANY_SLOTS:
            free = min(free, self._implementation.concurrency // 2)
        return min(free, _LARGEST_CLAIM)

    async def _wait(self) -> None:
        if self._watch is None and self.free_slots():
            self._watch = asyncio.get_running_loop().create_task(self._watch_for_work())
        self._wake.clear()
        await self._wake.wait()

    async def _watch_for_work(self) -> None:
        """Waits for the wake-up token.

        Taking it obliges to look, even if the lane is full by then: looking puts it back for others.
        """
        now_ms = self.now_ms or 0
        try:
            timeout_ms = patience_ms(now_ms, self._due_ms)
            await self._backend.wait_for_work(self.task, timeout_ms=timeout_ms, now_ms=now_ms)
        except Exception as error:  # noqa: BLE001 - whatever it was, looking again is the answer
            await self._recover(error)
        finally:
            self._watch = None
            self._look = True
            self._wake.set()

    async def _exchange(self) -> None:
        operation, batch = self._unsent or self._next_exchange()
        sending = await self._send(operation)
        try:
            reply = await sending
        except Exception as error:  # noqa: BLE001 - outcomes must not be lost, nor the lane, whatever went wrong
            self._unsent = self._not_sent(operation, batch, error)
            await self._recover(error)
            return
        self._unsent = None
        self._ended.stored()
        self._failures = 0
        self._clock_offset_ms = reply.now_ms - time.monotonic() * 1000
        self._due_ms = reply.due_ms
        self._settle(batch, reply)
        self._arrived = reply
        if 0 < operation.slots == len(reply.claims) and self.free_slots():
            self._look = True  # nothing says that these were all
        if not (self._ended or self._look):
            self._start_arrived()
        else:  # handlers that block the event loop may come first: leases are renewed from now on
            self.attempts.leases.add_all(reply.claims)

    async def _send(self, operation: Exchange) -> Awaitable[Exchanged]:
        """Starts what the last round trip has brought, once this one has left: the server need not wait for us."""
        if self._arrived is None:
            return self._backend.run(operation)
        sending = asyncio.get_running_loop().create_task(self._backend.run(operation))
        try:
            for _ in range(_ROUNDS_TO_WRITE):
                await asyncio.sleep(0)
            self._start_arrived()
        except BaseException:
            sending.cancel()
            raise
        return sending

    def _start_arrived(self) -> None:
        arrived, self._arrived = self._arrived, None
        if arrived is not None:
            self._start_claims(arrived)

    def _not_sent(
        self, operation: Exchange, batch: list[Ended], error: Exception
    ) -> tuple[Exchange, list[Ended]] | None:
        """What to send again as it is; nothing, if it would be refused again."""
        if not (isinstance(error, BackendError) and error.is_permanent):
            return operation.again(), batch
        self._look = True
        given_up = self._ended.refused(batch)
        if given_up is not None:
            # Its lease runs out, and whoever sweeps then gives the job back.
            attempt, outcome = given_up
            logger.error("outcome_given_up", extra=self.attempts.about(attempt, outcome=outcome.kind.value))
            self.attempts.forget(attempt)
        self.attempts.claims_known()
        return None

    def _next_exchange(self, most: int = _LARGEST_CLAIM) -> tuple[Exchange, list[Ended]]:
        is_careful = self._ended.is_careful
        batch = self._ended.take()
        self._look = is_careful and bool(batch)  # it settles and does not claim
        operation = Exchange(
            task=self.task,
            token=random_id(),
            lease_ms=self._lease_ms,
            slots=0 if self._look else min(self._claim_size(), most),
            outcomes=[outcome for _, outcome in batch],
            on_expire=self._implementation.on_expire,
            max_version=self._implementation.version,
            pace=self._implementation.pace,
            key_limit=self._implementation.key_limit,
            ttl_ms=self._implementation.ttl_ms,
            resend=is_careful,
        )
        self.attempts.expect_claims()
        return operation, batch

    async def _recover(self, error: Exception) -> None:
        """Waits longer after each failure in a row; at random, so that workers do not return together."""
        self._failures += 1
        unforeseen = None if isinstance(error, BackendError) else error
        about = {"task": self.task, "error": str(error), "failures": self._failures}
        logger.warning("exchange_failed", extra=about, exc_info=unforeseen)
        self._on_trouble(error)
        pause = pause_after(self._failures, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
        if self._stopping:
            await asyncio.sleep(min(pause, 1.0))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopped.wait()

    def _settle(self, batch: list[Ended], reply: Exchanged) -> None:
        for (attempt, outcome), settlement in zip(batch, reply.settlements, strict=True):
            if settlement is Settlement.CANCEL_REQUESTED:
                self.attempts.cancel_ended(attempt)
                continue
            self.attempts.forget(attempt)
            if attempt.claim.link is not None:
                self.teller.note(attempt.claim.link, outcome, settlement)
            if settlement is Settlement.LOST:
                logger.warning("outcome_refused", extra=self.attempts.about(attempt, outcome=outcome.kind.value))
            elif outcome.kind in (OutcomeKind.FAILED, OutcomeKind.RETRYING):
                self._on_failure(attempt, outcome, self._implementation)
            attempt.error = None  # its traceback leads back to the attempt, and to all that the handler held

    def _start_claims(self, reply: Exchanged) -> None:
        # What a round trip claimed that was under way when the worker was told to stop goes back at once.
        begin = self.attempts.refuse if self._stopping else self.attempts.start
        for claim in reply.claims:
            if claim.link is not None:
                self.teller.see()
            begin(claim, reply.now_ms)
        self.attempts.claims_known()

    def _attempt_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.stop_reason is not StopReason.LEASE_LOST:
            self._ended.add(attempt, outcome)
        self._wake.set()

    def stop_claiming(self) -> None:
        """Takes no more jobs, and puts the wake-up token back if this lane holds it."""
        self._stopped.set()
        self._stopping = True
        self.teller.stop()
        self._failures = 0
        self._look = True
        if self._watch is not None:
            self._watch.cancel()
        self._wake.set()
