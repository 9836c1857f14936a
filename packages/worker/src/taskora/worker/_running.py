"""The attempts of one task that are under way: started, stopped, timed out, left behind."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from taskora.wire import Backend, Claim, Lease, LeaseState, Outcome, OutcomeKind
from taskora.worker import _outcomes
from taskora.worker._attempt import Attempt, StopReason
from taskora.worker._deadlines import Deadlines
from taskora.worker._executor import Executor
from taskora.worker._implementation import Implementation
from taskora.worker._prefetch import Prefetch
from taskora.worker._reporting import Reporter
from taskora.worker._spawn_planner import SpawnPlanner
from taskora.worker._turns import Turns

logger = logging.getLogger("taskora.worker")

# How long an attempt may go on after it was told to stop, before it is left behind.
STOP_GRACE_MS: Final = 5000

OnEnd = Callable[[Attempt, Outcome], None]


class RunningAttempts:
    """Holds a claim from the moment it is made until its outcome is stored. `on_end` gets each outcome, once.

    Attributes:
        running: How many attempts have a slot.
        waiting: Those that were claimed before there is one.
    """

    def __init__(
        self,
        backend: Backend,
        implementation: Implementation[Any, Any],
        executor: Executor,
        prefetch: Prefetch,
        *,
        lease_ms: int,
        on_end: OnEnd,
    ) -> None:
        self.running = 0
        self._turns: Final = Turns(self._waited_too_long)
        self.waiting: Final[Sequence[Attempt]] = self._turns.waiting
        self._prefetch: Final = prefetch
        self._implementation: Final = implementation
        self._executor: Final = executor
        self._on_end: Final = on_end
        self._reporter: Final = Reporter(backend, implementation.task, lease_ms=lease_ms, on_lease=self.lease_changed)
        self._planner: Final = SpawnPlanner(backend)
        self._timeouts: Final = Deadlines(implementation.timeout_ms, self._timed_out)
        self._graces: Final = Deadlines(STOP_GRACE_MS, self._leave_behind)
        self._attempts: dict[str, Attempt] = {}
        # By the token of each claim that may be on its way here: who was cancelled since it left.
        self._cancelled_early: dict[str, set[str]] = {}
        self._loose: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._attempts)

    @property
    def has_free_slot(self) -> bool:
        """Whether an attempt could begin now."""
        return self.running < self._implementation.concurrency

    def start(self, claims: Sequence[Claim], now_ms: int) -> None:
        """Runs jobs that were claimed at `now_ms`; those beyond the slots when their turn comes."""
        attempts = [self._hold(claim, now_ms) for claim in claims]
        if self._prefetch.most:
            self._begin_in_turn(attempts)
        else:
            self._begin(attempts)
        for attempt in attempts:
            if attempt.claim.job_id in self._cancelled_early.get(attempt.claim.token, ()):
                self._stop(attempt, StopReason.CANCELLED)

    def _begin_in_turn(self, attempts: Sequence[Attempt]) -> None:
        """Those that find no slot wait. None waits beside a job that has lost a worker: it may well do so again.

        That one returns to the front instead, and comes back when only as many are claimed as may begin.
        """
        free = max(0, self._implementation.concurrency - self.running)
        risky = [attempt for attempt in attempts if attempt.claim.has_stalled]
        if risky:
            self._prefetch.distrust()
        if risky and len(attempts) > free:
            for attempt in reversed(risky):
                self._decline(attempt)
            attempts = [attempt for attempt in attempts if not attempt.ended]
        self._turns.add(attempts[free:], time.monotonic())
        self._begin(attempts[:free])

    def _begin(self, attempts: Sequence[Attempt]) -> None:
        self.running += len(attempts)
        self._timeouts.watch(attempts)
        create_task = asyncio.get_running_loop().create_task
        for attempt in attempts:
            attempt.runner = create_task(self._run(attempt))
        if self._prefetch.most:
            now = time.monotonic()
            for attempt in attempts:
                attempt.slot_since = now

    def refuse(self, claims: Sequence[Claim], now_ms: int) -> None:
        """Gives jobs back that came when nothing may be started; the last first, for each goes to the front."""
        for claim in reversed(claims):
            self._decline(self._hold(claim, now_ms))

    def decline_waiting(self) -> None:
        """Gives jobs back whose turn has not come; the last first, for each goes to the front."""
        while self.waiting:
            self._decline(self._turns.last())

    def _decline(self, attempt: Attempt) -> None:
        attempt.ended = True
        self._on_end(attempt, _outcomes.declined(attempt.claim))

    def _waited_too_long(self, _attempt: Attempt | None = None) -> None:
        self._prefetch.distrust()
        self.decline_waiting()

    def _hold(self, claim: Claim, now_ms: int) -> Attempt:
        attempt = Attempt(claim, self._implementation, self._reporter, now_ms)
        earlier = self._attempts.get(claim.job_id)
        if earlier is not None:  # its lease ran out, and the job came back to us before we learnt of that
            self._stop(earlier, StopReason.LEASE_LOST)
            self._loosen(earlier)
        self._attempts[claim.job_id] = attempt
        return attempt

    async def _run(self, attempt: Attempt) -> None:
        attempt.started = True
        outcome = await self._executor.run(attempt)
        if attempt.port is not None and attempt.spawned and not attempt.ended:
            outcome = await self._plan(attempt, outcome)
        if attempt.ended:
            return  # left behind: somebody else has settled it
        attempt.ended = True
        if attempt.port is not None:
            await self._reporter.drain(attempt.claim.job_id)
        self._finish(attempt, outcome)

    async def _plan(self, attempt: Attempt, outcome: Outcome) -> Outcome:
        """Part of the attempt: it can be stopped, is lost with its lease, and has to be done in time."""
        if outcome.kind is not OutcomeKind.COMPLETED:
            return outcome
        planned = await self._planner.plan(attempt, outcome, self._implementation)
        was_cancelled = attempt.stop_reason is StopReason.CANCELLED or planned.kind is OutcomeKind.CANCELLED
        if was_cancelled and not attempt.ended:
            await self._executor.run_cancel_hook(attempt)
        return planned

    def _finish(self, attempt: Attempt, outcome: Outcome) -> None:
        self.running -= 1
        if self._prefetch.most:
            self._take_turns(attempt)
        if attempt.lease_lost:
            self.forget(attempt)
            logger.warning("lease_lost", extra=self.about(attempt))
        self._on_end(attempt, outcome)

    def _take_turns(self, ended: Attempt) -> None:
        now = time.monotonic()
        if ended.began:
            self._prefetch.ran(now - ended.slot_since)
        if self.waiting and self.has_free_slot:
            first = self._turns.first(now)
            if first is None:
                self._waited_too_long()
            else:
                self._begin((first,))

    def forget(self, attempt: Attempt) -> None:
        """The outcome is stored, or was refused: the lease is no longer ours."""
        job_id = attempt.claim.job_id
        self._timeouts.drop(attempt)
        if attempt.stop_reason is not None:
            self._graces.drop(attempt)
        if self._attempts.get(job_id) is attempt:
            del self._attempts[job_id]

    def cancel_ended(self, attempt: Attempt) -> None:
        """The job was cancelled while its attempt ended otherwise: its hook runs, and then it is cancelled."""
        work = asyncio.get_running_loop().create_task(self._cancel_ended(attempt))
        self._loose.add(work)
        work.add_done_callback(self._loose.discard)

    async def _cancel_ended(self, attempt: Attempt) -> None:
        await self._executor.run_cancel_hook(attempt)
        if attempt.port is not None:
            await self._reporter.drain(attempt.claim.job_id)
        self._on_end(attempt, _outcomes.cancelled(attempt.claim))

    def _timed_out(self, attempt: Attempt) -> None:
        if attempt.stop_reason is None:
            self._stop(attempt, StopReason.TIMEOUT)
        else:
            self._leave_behind(attempt)

    def _stop(self, attempt: Attempt, reason: StopReason) -> None:
        """Tells an attempt to stop. From then on it has the grace, or what is left of its time if that is longer.

        One whose turn has not come begins now, so that it can end: there is no need for a slot.
        """
        is_first = attempt.stop(reason)
        if is_first and self.waiting and self._turns.remove(attempt):
            self._begin((attempt,))
        if is_first and self._timeouts.left_seconds(attempt) * 1000 <= STOP_GRACE_MS:
            self._timeouts.drop(attempt)
            self._graces.watch((attempt,))

    def _leave_behind(self, attempt: Attempt) -> None:
        """Settles an attempt that does not stop; whatever it does from now on is refused."""
        if attempt.ended:
            return
        attempt.ended = True
        logger.error("attempt_left_behind", extra=self.about(attempt, reason=str(attempt.stop_reason)))
        self._loosen(attempt)
        self._finish(attempt, _outcomes.ended_with_error(attempt, asyncio.CancelledError(), self._implementation))

    def _loosen(self, attempt: Attempt) -> None:
        """Keeps the task of an attempt that is not among the running ones any more."""
        if attempt.runner is not None and not attempt.runner.done():
            self._loose.add(attempt.runner)
            attempt.runner.add_done_callback(self._loose.discard)

    def about(self, attempt: Attempt, **more: object) -> dict[str, object]:
        """Fields of a log record."""
        claim = attempt.claim
        return {"task": self._implementation.task, "job": claim.job_id, "attempt": claim.attempt, **more}

    def leases(self) -> list[Lease]:
        """The leases that are held now. For any thread, without a lock: a dictionary is copied in one step."""
        return [Lease(job_id=job_id, token=attempt.claim.token) for job_id, attempt in self._attempts.copy().items()]

    def lease_changed(self, lease: Lease, state: LeaseState) -> None:
        """The renewer learnt that a lease is lost, or that its job was cancelled."""
        attempt = self._attempts.get(lease.job_id)
        if attempt is not None and attempt.claim.token == lease.token:
            self._stop(attempt, StopReason.LEASE_LOST if state is LeaseState.LOST else StopReason.CANCELLED)

    def cancel(self, job_id: str) -> None:
        """Somebody cancelled a job; if it runs here, it is told to stop."""
        attempt = self._attempts.get(job_id)
        if attempt is not None:
            self._stop(attempt, StopReason.CANCELLED)
        # Also one that is known: the exchange that gives a job back may claim it, too.
        for cancelled in self._cancelled_early.values():
            cancelled.add(job_id)

    def expect_claims(self, token: str) -> None:
        """Claims may be on their way here: their jobs are active, and may be cancelled before we know of them."""
        self._cancelled_early[token] = set()

    def claims_known(self, token: str) -> None:
        """The claims with this token are here and were started: who else was cancelled meanwhile runs elsewhere."""
        del self._cancelled_early[token]

    def stop_all(self) -> None:
        """Tells every attempt to stop; their jobs go back to the queue."""
        for attempt in list(self._attempts.values()):
            self._stop(attempt, StopReason.SHUTDOWN)

    def leave_all_behind(self) -> None:
        """Gives back the jobs of attempts that do not stop."""
        for attempt in list(self._attempts.values()):
            self._leave_behind(attempt)

    def close(self) -> None:
        """Watches no deadline any more, and gives up what was left behind."""
        self._timeouts.close()
        self._graces.close()
        self._turns.close()
        self._reporter.close()
        self._planner.close()
        for attempt in self._attempts.values():
            self._loosen(attempt)
        for task in self._loose:
            task.cancel()

    def leftovers(self) -> "list[asyncio.Task[None]]":
        """What has not ended although it was told to."""
        return list(self._loose)
