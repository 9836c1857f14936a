"""A worker while it runs: lanes, background roles, and how they end."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from taskora.producer import PayloadCodec
from taskora.wire import Backend, CountJobs
from taskora.worker._canceller import Canceller
from taskora.worker._config import Retention
from taskora.worker._event_follower import EventFollower
from taskora.worker._executor import Executor
from taskora.worker._failure_log import FailureLog
from taskora.worker._handlers import Middleware
from taskora.worker._implementation import Implementation
from taskora.worker._invoking import invoker_for
from taskora.worker._lane import Lane
from taskora.worker._leases import LeaseRenewer
from taskora.worker._listeners import Listeners, WorkerEvent
from taskora.worker._presence import Presence
from taskora.worker._processes import ProcessPool
from taskora.worker._retention_pruner import RetentionPruner
from taskora.worker._roles import Role, end, perform
from taskora.worker._rounds import for_each, rounds, worst
from taskora.worker._scheduler import Scheduler
from taskora.worker._stall_recoverer import StallRecoverer
from taskora.worker._threads import ThreadPool
from taskora.worker._workflow_sweeper import WorkflowSweeper
from taskora.worker._workflow_troubles import WorkflowTroubles

logger = logging.getLogger("taskora.worker")

_SHORTEST_STOP_SECONDS: Final = 0.1
# Kubernetes kills 30 seconds after it told a process to end. The default grace takes 25 of them; these two, and what it
# takes to close connections, must fit into the rest.
# How long attempts that were told to stop may take to end.
_STOP_SECONDS: Final = 3.0
# How long the outcomes of attempts that were left behind may take to be stored.
_STORE_SECONDS: Final = 1.0


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
        codecs: Mapping[str, PayloadCodec[Any]],
        scheduler: Scheduler | None = None,
    ) -> None:
        self._backend: Final = backend
        self._implementations: Final = implementations
        self._middleware: Final = middleware
        self._listeners: Final = listeners
        self._retention: Final = retention
        self._lease_ms: Final = lease_ms
        self._scheduler: Final = scheduler
        self._threads: Final = ThreadPool()
        self._processes: Final = ProcessPool(self._threads)
        self._presence: Final = Presence(backend, implementations.values())
        self._lanes: dict[str, Lane] = {}
        self._lane_tasks: list[asyncio.Task[None]] = []
        self._role_tasks: list[asyncio.Task[None]] = []
        self._renewer: LeaseRenewer | None = None
        self._workflow_troubles: Final = WorkflowTroubles()
        self._sweeper: WorkflowSweeper | None = None
        self._follower: Final = EventFollower(backend, codecs, listeners, now_ms=self._now_ms, on_trouble=self._trouble)
        self._announcements: Final[set[asyncio.Task[None]]] = set()
        self._hurry: Final = asyncio.Event()
        self._broken: Final[asyncio.Future[BaseException]] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Reaches the server, then starts to claim.

        Raises:
            BackendError: the server cannot be reached or used.
            WireVersionError: its data and this version do not fit together.
        """
        unreachable = await for_each(self._implementations, lambda task: self._backend.run(CountJobs(task=task)))
        if unreachable:
            raise worst(unreachable)
        self._lanes = {task: self._lane(implementation) for task, implementation in self._implementations.items()}
        holders = {task: lane.attempts for task, lane in self._lanes.items()}
        self._renewer = LeaseRenewer(self._backend.blocking, holders, lease_ms=self._lease_ms, on_trouble=self._trouble)
        if self._scheduler is not None:
            await self._scheduler.declare()
        await self._presence.arrive()
        await self._follower.follow()
        self._listeners.watch(self._follower.notice)
        self._renewer.start()
        loop = asyncio.get_running_loop()
        roles: list[Role] = [self._follower, *self._upkeep_roles(self._renewer)]
        self._role_tasks = [loop.create_task(perform(role, self._trouble), name=role.name) for role in roles]
        self._lane_tasks = [loop.create_task(lane.run(), name=f"lane:{lane.task}") for lane in self._lanes.values()]
        for running in self._lane_tasks:
            running.add_done_callback(self._lane_ended)

    def _lane(self, implementation: Implementation[Any, Any]) -> Lane:
        invoker = invoker_for(implementation, self._threads, self._processes)
        executor = Executor(implementation, self._middleware, invoker, self._backend.run)
        return Lane(
            self._backend,
            implementation,
            executor,
            lease_ms=self._lease_ms,
            on_failure=FailureLog(self._listeners),
            on_trouble=self._trouble,
            troubles=self._workflow_troubles,
        )

    def _upkeep_roles(self, renewer: LeaseRenewer) -> Sequence[Role]:
        roles: list[Role] = [self._presence, *filter(None, (self._scheduler,))]
        if self._lanes:
            running = {task: lane.attempts for task, lane in self._lanes.items()}
            roles.append(Canceller(self._backend, running, on_subscribed=renewer.renew_now))
            tellers = [lane.teller for lane in self._lanes.values()]
            self._sweeper = WorkflowSweeper(self._backend, tellers, self._workflow_troubles)
            roles.append(self._sweeper)
        own = self._implementations
        sweeps = [self._stall_recoverer(task) for task in own]
        prunings = [RetentionPruner(self._backend, task, self._retention) for task in own]
        return [*roles, *rounds("stall_recoverer", sweeps), *rounds("retention_pruner", prunings)]

    def _stall_recoverer(self, task: str) -> StallRecoverer:
        tell = partial(self._lanes[task].teller.sweep, 0)
        return StallRecoverer(self._backend, task, self._implementations[task].stall, on_ended=tell)

    def _now_ms(self) -> int | None:
        return next((lane.now_ms for lane in self._lanes.values() if lane.now_ms is not None), None)

    def follow(self) -> None:
        """A task was added that listeners may ask for."""
        self._follower.notice()

    def _trouble(self, error: BaseException) -> None:
        """Something failed in the background, and will be tried again."""
        self._announce(WorkerEvent(name="worker:error", error=error))

    def _announce(self, event: WorkerEvent) -> "asyncio.Task[None]":
        told = asyncio.get_running_loop().create_task(self._listeners.deliver(event.name, event), name=event.name)
        self._announcements.add(told)
        told.add_done_callback(self._announcements.discard)
        return told

    def _lane_ended(self, lane: "asyncio.Task[None]") -> None:
        """A lane ends when the worker closes; anything else is a bug, and must not go unnoticed."""
        error = None if lane.cancelled() else lane.exception()
        if error is not None:
            logger.critical("lane_died", exc_info=error, extra={"lane": lane.get_name()})
            self._trouble(error)
            if not self._broken.done():
                self._broken.set_result(error)

    @property
    def breakage(self) -> BaseException | None:
        """What a lane died of: its task is not worked on any more."""
        return self._broken.result() if self._broken.done() else None

    async def broken(self) -> None:
        """Waits until a lane has died."""
        await asyncio.shield(self._broken)

    async def close(self, timeout_seconds: float | None) -> None:
        """Stops claiming, waits for attempts, then stops them; their jobs go back without spending an attempt."""
        for lane in self._lanes.values():
            lane.stop_claiming()
        try:
            await self._wind_down(timeout_seconds)
        finally:
            await self._end()

    async def _wind_down(self, timeout_seconds: float | None) -> None:
        told = self._announce(WorkerEvent(name="worker:closing"))
        await self._all_ended([*self._lane_tasks, told], 0 if self._hurry.is_set() else timeout_seconds)
        if _are_done(self._lane_tasks):
            return
        for lane in self._lanes.values():
            lane.attempts.stop_all()
        if not await self._all_ended(self._lane_tasks, self._stop_seconds(timeout_seconds)):
            for lane in self._lanes.values():
                lane.attempts.leave_all_behind()
            await self._all_ended(self._lane_tasks, _STORE_SECONDS)

    def _stop_seconds(self, timeout_seconds: float | None) -> float:
        """How long handlers may take to stop: no longer than they were given to end by themselves."""
        if self._hurry.is_set():
            return _SHORTEST_STOP_SECONDS
        if timeout_seconds is None:
            return _STOP_SECONDS
        return min(max(timeout_seconds, _SHORTEST_STOP_SECONDS), _STOP_SECONDS)

    def hurry(self) -> None:
        """Ends the wait of `close` that is under way, and shortens those that follow."""
        self._hurry.set()

    async def _all_ended(self, tasks: "Sequence[asyncio.Task[None]]", timeout_seconds: float | None) -> bool:
        """Waits until all tasks have ended, or for the given time, or until somebody is in a hurry."""
        loop = asyncio.get_running_loop()
        ended = loop.create_task(_all_done(tasks))
        hurry = loop.create_task(self._hurry.wait())
        try:
            waits = {ended} if self._hurry.is_set() else {ended, hurry}
            await asyncio.wait(waits, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end((ended, hurry))
        return _are_done(tasks)

    async def _end(self) -> None:
        """Ends everything, each thing whatever becomes of the others."""
        self._listeners.watch(None)
        async with contextlib.AsyncExitStack() as last_first:
            last_first.callback(self._threads.close)
            last_first.push_async_callback(self._processes.close)
            if self._renewer is not None:
                last_first.push_async_callback(self._renewer.stop)
            last_first.push_async_callback(self._presence.leave)
            last_first.push_async_callback(self._end_leftovers)
            last_first.push_async_callback(self._follower.close)
            if self._scheduler is not None:
                last_first.push_async_callback(self._scheduler.stop)
            if self._sweeper is not None:
                last_first.push_async_callback(self._sweeper.close)
            last_first.push_async_callback(end, self._role_tasks)
            last_first.push_async_callback(end, self._lane_tasks)

    async def _end_leftovers(self) -> None:
        """Gives what was left behind, and cancelled, a moment to end; then nobody waits for it."""
        for told in self._announcements:
            told.cancel()
        leftovers = [task for lane in self._lanes.values() for task in lane.attempts.leftovers()]
        leftovers += self._announcements
        if leftovers:
            await asyncio.wait(leftovers, timeout=_SHORTEST_STOP_SECONDS)


async def _all_done(tasks: "Sequence[asyncio.Task[None]]") -> None:
    await asyncio.wait(tasks)


def _are_done(tasks: "Sequence[asyncio.Task[None]]") -> bool:
    return all(task.done() for task in tasks)
