"""A worker while it runs: lanes, background roles, and how they end."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from taskora.wire import Backend, CountJobs, Outcome, OutcomeKind
from taskora.worker._attempt import Attempt
from taskora.worker._canceller import Canceller
from taskora.worker._config import Retention
from taskora.worker._executor import Executor
from taskora.worker._handlers import Middleware
from taskora.worker._implementation import Implementation
from taskora.worker._invoking import invoker_for
from taskora.worker._lane import Lane
from taskora.worker._leases import LeaseRenewer
from taskora.worker._listeners import EventFollower, Listeners
from taskora.worker._retention_pruner import RetentionPruner
from taskora.worker._roles import Role, end, perform
from taskora.worker._running import STOP_GRACE_MS
from taskora.worker._stall_recoverer import StallRecoverer
from taskora.worker._threads import ThreadPool

logger = logging.getLogger("taskora.worker")

_HURRY_SECONDS: Final = 1.0


class Runtime:
    """Everything that lives between the start and the end of a worker. Used once."""

    def __init__(
        self,
        backend: Backend,
        implementations: Mapping[str, Implementation[Any, Any]],
        *,
        middleware: tuple[Middleware, ...],
        listeners: Listeners,
        retention: Retention,
        lease_ms: int,
    ) -> None:
        self._backend: Final = backend
        self._implementations: Final = implementations
        self._middleware: Final = middleware
        self._listeners: Final = listeners
        self._retention: Final = retention
        self._lease_ms: Final = lease_ms
        self._threads: Final = ThreadPool()
        self._lanes: dict[str, Lane] = {}
        self._lane_tasks: list[asyncio.Task[None]] = []
        self._role_tasks: list[asyncio.Task[None]] = []
        self._renewer: LeaseRenewer | None = None
        self._hurry: Final = asyncio.Event()

    async def start(self) -> None:
        """Reaches the server, then starts to claim.

        Raises:
            BackendError: the server cannot be reached or used.
            WireVersionError: its data and this version do not fit together.
        """
        for task in self._implementations:
            await self._backend.run(CountJobs(task=task))
        self._lanes = {task: self._lane(implementation) for task, implementation in self._implementations.items()}
        books = {task: (lane.attempts.leases, lane.attempts) for task, lane in self._lanes.items()}
        self._renewer = LeaseRenewer(self._backend.blocking, books, lease_ms=self._lease_ms)
        roles: list[Role] = [*await self._event_roles(), *self._upkeep_roles()]
        self._renewer.start()
        loop = asyncio.get_running_loop()
        self._role_tasks = [loop.create_task(perform(role), name=role.name) for role in roles]
        self._lane_tasks = [loop.create_task(lane.run(), name=f"lane:{lane.task}") for lane in self._lanes.values()]

    def _lane(self, implementation: Implementation[Any, Any]) -> Lane:
        executor = Executor(implementation, self._middleware, invoker_for(implementation, self._threads))
        return Lane(self._backend, implementation, executor, lease_ms=self._lease_ms, on_failure=self._attempt_failed)

    async def _event_roles(self) -> Sequence[Role]:
        if not self._listeners.follow_jobs():
            return ()
        codecs = {task: item.payloads.output for task, item in self._implementations.items()}
        follower = EventFollower(self._backend, codecs, self._listeners)
        await follower.open()
        return (follower,)

    def _upkeep_roles(self) -> Sequence[Role]:
        roles: list[Role] = []
        if self._lanes:
            roles.append(Canceller(self._backend, {task: lane.attempts for task, lane in self._lanes.items()}))
        for task, implementation in self._implementations.items():
            roles.append(StallRecoverer(self._backend, task, implementation.stall))
            roles.append(RetentionPruner(self._backend, task, self._retention))
        return roles

    def _attempt_failed(self, attempt: Attempt, outcome: Outcome, implementation: Implementation[Any, Any]) -> None:
        """Failures are logged until somebody listens to them."""
        if self._listeners.hear_failures(implementation.task):
            return
        claim = attempt.claim
        text = bytes(outcome.payload).decode("utf-8", "replace")
        again = ", will retry" if outcome.kind is OutcomeKind.RETRYING else ""
        logger.error(
            "task %s job %s failed (attempt %d/%d%s): %s",
            implementation.task, claim.job_id, claim.attempt, implementation.retry.attempts, again, text,
            exc_info=attempt.error,
            extra={"task": implementation.task, "job": claim.job_id, "attempt": claim.attempt},
        )  # fmt: skip

    async def close(self, timeout_seconds: float | None) -> None:
        """Stops claiming, waits for attempts, then stops them; their jobs go back without spending an attempt."""
        for lane in self._lanes.values():
            lane.stop_claiming()
        if not await self._lanes_ended(timeout_seconds):
            for lane in self._lanes.values():
                lane.attempts.stop_all()
            if not await self._lanes_ended(STOP_GRACE_MS / 1000):
                for lane in self._lanes.values():
                    lane.attempts.leave_all_behind()
                await self._lanes_ended(STOP_GRACE_MS / 1000)
        await self._end()

    def hurry(self) -> None:
        """Ends every wait of `close` that is under way, and shortens those that follow."""
        self._hurry.set()

    async def _lanes_ended(self, timeout_seconds: float | None) -> bool:
        if self._hurry.is_set():
            timeout_seconds = _HURRY_SECONDS
        hurry = asyncio.get_running_loop().create_task(self._hurry.wait())
        ended = asyncio.get_running_loop().create_task(self._all_ended())
        try:
            waits = {ended} if self._hurry.is_set() else {ended, hurry}
            await asyncio.wait(waits, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurry.cancel()
            ended.cancel()
        return all(task.done() for task in self._lane_tasks)

    async def _all_ended(self) -> None:
        if self._lane_tasks:
            await asyncio.wait(self._lane_tasks)

    async def _end(self) -> None:
        await end(self._lane_tasks)
        await end(self._role_tasks)
        if self._renewer is not None:
            await self._renewer.stop()
        self._threads.close()
