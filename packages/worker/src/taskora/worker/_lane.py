"""The loop of one task: settle what ended, claim what is ready, in one round trip.

Outcomes that gather while a round trip is under way leave together with the next one. An idle lane answers at once; a
busy one pays one round trip per batch. A lane of many slots may have two under way, so that the server finds the next
request when it has answered one.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from taskora.contracts import BackendError
from taskora.wire import Backend, Exchange, Exchanged, Outcome, OutcomeKind, Settlement, pause_after, random_id
from taskora.worker._attempt import Attempt
from taskora.worker._claim_sizes import LARGEST_CLAIM, ClaimSizes
from taskora.worker._ended import MOST_OUTCOMES, Ended, EndedAttempts
from taskora.worker._executor import Executor
from taskora.worker._implementation import Implementation
from taskora.worker._patience import patience_ms
from taskora.worker._prefetch import Prefetch
from taskora.worker._roles import end
from taskora.worker._round_trip import RoundTrip
from taskora.worker._running import RunningAttempts
from taskora.worker._workflow_teller import WorkflowTeller
from taskora.worker._workflow_troubles import WorkflowTroubles

logger = logging.getLogger("taskora.worker")

# Looked up once: before Python 3.12 the members of an enumeration are slow to find.
_CANCEL_REQUESTED: Final = Settlement.CANCEL_REQUESTED
_LOST: Final = Settlement.LOST
_FAILED: Final = (OutcomeKind.FAILED, OutcomeKind.RETRYING)
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
        prefetch: Prefetch | None = None,
    ) -> None:
        self._prefetch: Final = prefetch or Prefetch(implementation.prefetch, slots=implementation.concurrency)
        self.attempts: Final = RunningAttempts(
            backend, implementation, executor, self._prefetch, lease_ms=lease_ms, on_end=self._attempt_ended
        )
        self._backend: Final = backend
        self._implementation: Final = implementation
        self._lease_ms: Final = lease_ms
        self._on_failure: Final = on_failure
        self._on_trouble: Final = on_trouble
        self._ended: Final = EndedAttempts()
        self._trips: Final[list[RoundTrip]] = []
        self._unsent: Final[list[RoundTrip]] = []  # given up by a lane that stops, unless the other one gets through
        self._sizes: Final = ClaimSizes(implementation.concurrency + self._prefetch.most)
        self._look = True
        self._stopped: Final = asyncio.Event()
        self._stopping = False  # the same, to be asked several times per round trip
        self._wake: Final = wake or asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._numbers: Final = itertools.count(1)
        self._failures = self._newest = 0  # the latter: of the request whose reply told the next two
        self._clock_offset_ms: float | None = None
        self._due_ms: int | None = None
        self.teller: Final = WorkflowTeller(
            backend, self.task, on_done=self._wake.set, on_trouble=on_trouble, troubles=troubles or WorkflowTroubles()
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
        loop = asyncio.get_running_loop()
        couriers = [loop.create_task(self._carry()) for _ in range(self._sizes.parts)]
        try:
            await asyncio.gather(*couriers)
            if self._has_given_up:
                # Leases run out, and whoever sweeps then gives the jobs back.
                logger.error("lane_gave_up", extra={"task": self.task, "outcomes": len(self.attempts)})
        finally:
            self.attempts.close()
            self.teller.close()
            if self._watch is not None:
                self._watch.cancel()
            await end(couriers)

    async def _carry(self) -> None:
        """Makes one round trip after the other."""
        while not (self._stopping and self._is_drained()):
            if self._may_leave():
                await self._exchange()
            else:
                await self._wait()
        self._wake.set()  # for whoever waits beside this one

    def _is_drained(self) -> bool:
        if self.attempts.running:
            return False
        has_work = self.attempts or self._ended or self._trips or self._unsent or self._look or self.teller.busy
        return self._has_given_up or not has_work

    @property
    def _has_given_up(self) -> bool:
        """Failures are counted for all that is under way together: two have as many tries each as a lone one."""
        tries = _LAST_TRIES * max(1, len(self._trips))
        return self._stopping and not self.attempts.running and self._failures > tries

    def _may_leave(self) -> bool:
        """The first round trip takes whatever there is; one beside it leaves only when it is worth that by itself.

        While jobs wait for their turn there is no hurry: those that end meanwhile leave together.
        """
        if not self._trips:
            return bool(self._unsent or self._look or (self._ended and not self.attempts.waiting))
        if len(self._ended) < self._sizes.worthwhile or self.free_slots() < self._sizes.worthwhile:
            return False
        (other,) = self._trips
        return not (other.has_failed or self._ended.is_careful)

    @property
    def has_outcomes(self) -> bool:
        """Whether attempts ended whose outcomes are not stored yet."""
        return bool(self._ended)

    async def step(self, *, most: int = LARGEST_CLAIM) -> Exchanged:
        """One round trip that claims at most so many jobs, for whoever drives this lane by hand instead of by `run`.

        What goes wrong is raised.
        """
        trip = self._next_trip(most=most)
        try:
            reply = await self._backend.run(trip.operation)
        except BaseException:
            self._ended.put_back(trip.batch)
            self.attempts.claims_known(trip.operation.token)
            raise
        self._settle(trip.batch, reply)
        self._start_claims(trip, reply)
        await self.teller.flush()
        return reply

    def free_slots(self) -> int:
        """How many jobs this lane may claim now, those included that would wait for their turn."""
        attempts = self.attempts
        free = self._implementation.concurrency + self._prefetch.jobs - attempts.running - len(attempts.waiting)
        for trip in self._trips:
            free -= trip.operation.slots
        return 0 if self._stopping or free < 0 else free

    async def _wait(self) -> None:
        if self._watch is None and not self._trips and self.attempts.has_free_slot and not self._stopping:
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
        """One round trip, repeated until there is an answer, be it a refusal."""
        trip = self._unsent.pop() if self._unsent else self._next_trip(outcomes=self._share())
        self._trips.append(trip)
        if len(self._ended) >= self._sizes.worthwhile:
            self._wake.set()  # for whoever waits beside this one: there may be enough for both
        while trip in self._trips:
            trip.number = next(self._numbers)
            left = time.monotonic()
            try:
                reply = await self._backend.run(trip.operation)
            except Exception as error:  # noqa: BLE001 - outcomes must not be lost, nor the lane, whatever went wrong
                await self._failed(trip, error)
            else:
                if self._prefetch.most:
                    self._prefetch.answered(time.monotonic() - left)
                self._answered(trip, reply)

    async def _failed(self, trip: RoundTrip, error: Exception) -> None:
        trip.has_failed = True
        is_refused = isinstance(error, BackendError) and error.is_permanent
        if is_refused:
            self._refused(trip)
        else:
            trip.operation = trip.operation.again()
        await self._recover(error)
        if is_refused:
            self._trips.remove(trip)
        elif self._has_given_up:
            self._trips.remove(trip)
            self._unsent.append(trip)

    def _answered(self, trip: RoundTrip, reply: Exchanged) -> None:
        self._trips.remove(trip)
        if trip.number > self._newest:
            self._newest = trip.number
            self._clock_offset_ms = reply.now_ms - time.monotonic() * 1000
            self._due_ms = reply.due_ms
        self._failures = 0
        self._ended.stored(trip.batch, is_careful=trip.is_careful)
        self._settle(trip.batch, reply)
        self._start_claims(trip, reply)
        if 0 < trip.operation.slots == len(reply.claims) and not self.attempts.waiting and self.free_slots():
            self._look = True  # nothing says that these were all

    def _refused(self, trip: RoundTrip) -> None:
        """It would be refused again as it is: what it carried leaves in smaller parts, and apart from claims."""
        self._look = True
        given_up = self._ended.refused(trip.batch)
        if given_up is not None:
            # Its lease runs out, and whoever sweeps then gives the job back.
            attempt, outcome = given_up
            logger.error("outcome_given_up", extra=self.attempts.about(attempt, outcome=outcome.kind.value))
            self.attempts.forget(attempt)
        self.attempts.claims_known(trip.operation.token)

    def _share(self) -> int:
        """How many outcomes leave together: not all, if the rest is worth another round trip at once."""
        sizes = self._sizes
        for_two = sizes.part + sizes.worthwhile
        is_for_two = sizes.parts > 1 and not self._trips and min(len(self._ended), self.free_slots()) >= for_two
        return sizes.part if is_for_two else MOST_OUTCOMES

    def _next_trip(self, *, outcomes: int = MOST_OUTCOMES, most: int = LARGEST_CLAIM) -> RoundTrip:
        is_careful = self._ended.is_careful
        batch = self._ended.take(outcomes)
        self._look = is_careful and bool(batch)  # it settles and does not claim
        operation = Exchange(
            task=self.task,
            token=random_id(),
            lease_ms=self._lease_ms,
            slots=0 if self._look else min(self.free_slots(), self._sizes.most, most),
            outcomes=[outcome for _, outcome in batch],
            on_expire=self._implementation.on_expire,
            max_version=self._implementation.version,
            pace=self._implementation.pace,
            key_limit=self._implementation.key_limit,
            ttl_ms=self._implementation.ttl_ms,
            resend=is_careful,
        )
        self.attempts.expect_claims(operation.token)
        return RoundTrip(operation, batch, is_careful=is_careful)

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
            if settlement is _CANCEL_REQUESTED:
                self.attempts.cancel_ended(attempt)
                continue
            self.attempts.forget(attempt)
            if attempt.claim.link is not None:
                self.teller.note(attempt.claim.link, outcome, settlement)
            if settlement is _LOST:
                logger.warning("outcome_refused", extra=self.attempts.about(attempt, outcome=outcome.kind.value))
            elif outcome.kind in _FAILED:
                self._on_failure(attempt, outcome, self._implementation)
            attempt.error = None  # its traceback leads back to the attempt, and to all that the handler held

    def _start_claims(self, trip: RoundTrip, reply: Exchanged) -> None:
        size = 0
        # What a round trip claimed that was under way when the worker was told to stop goes back at once.
        begin = self.attempts.refuse if self._stopping else self.attempts.start
        for claim in reply.claims:
            if claim.link is not None:
                self.teller.see()
            size += len(claim.data)
        begin(reply.claims, reply.now_ms)
        if reply.claims:
            self._sizes.note(len(reply.claims), size)
        self.attempts.claims_known(trip.operation.token)

    def _attempt_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        if not attempt.lease_lost:
            self._ended.add(attempt, outcome)
        is_enough = len(self._ended) >= self._sizes.worthwhile if self._trips else not self.attempts.waiting
        if is_enough:
            self._wake.set()

    def stop_claiming(self) -> None:
        """Takes no more jobs, and puts the wake-up token back if this lane holds it."""
        self._stopped.set()
        self._stopping = True
        self.teller.stop()
        self._failures = 0
        self._look = True
        self.attempts.decline_waiting()
        if self._watch is not None:
            self._watch.cancel()
        self._wake.set()
