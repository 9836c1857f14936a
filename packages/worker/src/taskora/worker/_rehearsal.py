"""A worker in somebody else's hands: it runs jobs as ever, but does nothing unless it is told to."""

import asyncio
import contextlib
import logging
from typing import Any, Final

from taskora.contracts.records import replace
from taskora.producer import AsyncProducer, JobEvent
from taskora.wire import Backend, Clock, Exchanged, drive_async, sweep_untold
from taskora.worker._canceller import Canceller
from taskora.worker._direct_call import call_directly
from taskora.worker._executor import Executor
from taskora.worker._failure_log import FailureLog
from taskora.worker._handlers import Middleware
from taskora.worker._implementation import Implementation
from taskora.worker._invoking import invoker_for
from taskora.worker._lane import Lane
from taskora.worker._listeners import WorkerEvent, WorkerEventName
from taskora.worker._loan import Declared
from taskora.worker._presence import Presence
from taskora.worker._processes import ProcessPool
from taskora.worker._retention_pruner import RetentionPruner
from taskora.worker._roles import end, perform
from taskora.worker._scheduler import Scheduler, scheduler_of
from taskora.worker._stall_recoverer import StallRecoverer
from taskora.worker._threads import ThreadPool
from taskora.worker._time_sources import LeaseRenewals, StallSweeps, TimeSource, WorkflowDeadlines

logger = logging.getLogger("taskora.worker")

_STOP_SECONDS: Final = 3.0


class Rehearsal:
    """The lanes of a worker on a backend of the holder's, driven by hand, for one event loop.

    Attempts run as in a worker that was started: with its middleware, in the event loop, in threads and in processes.
    Claims, sweeps, renewals and pruning happen when the holder says so; backoffs have no jitter.

    Args:
        declared: What the worker was told.
        backend: Where the jobs are.
        clock: The clock of that backend.
        news: Set whenever an attempt ends.
        around: Wraps every handler, outside all other middleware.
    """

    def __init__(
        self, declared: Declared, backend: Backend, clock: Clock, *, news: asyncio.Event, around: Middleware
    ) -> None:
        self.declared: Final = declared
        self._backend: Final = backend
        self._clock: Final = clock
        self._news: Final = news
        self._around: Final = around
        self._threads: Final = ThreadPool()
        self._processes: Final = ProcessPool(self._threads)
        self._lanes: Final[dict[str, Lane]] = {}
        self._built: Final[dict[str, tuple[Implementation[Any, Any], tuple[Middleware, ...]]]] = {}
        self._presence = Presence(backend, ())
        self._canceller: asyncio.Task[None] | None = None
        self._begins_ms: Final = clock.now_ms()
        self._renewals: Final = LeaseRenewals(backend, clock, self._lanes, lease_ms=declared.lease_ms)
        self._sources: tuple[TimeSource, ...] = ()
        self._scheduler: Scheduler | None = None
        self._stored: set[str] = set()

    async def open(self) -> None:
        """Takes in what was declared since the last call. Lanes whose attempts run stay as they are."""
        middleware = (self._around, *self.declared.middleware)
        changed = False
        for task, implementation in self.declared.implementations.items():
            built = (implementation, middleware)
            if self._built.get(task) != built and not (task in self._lanes and self._lanes[task].attempts):
                self._built[task] = built
                self._lanes[task] = self._lane(implementation, middleware)
                changed = True
        await self._declare_schedules()
        self._sources = tuple(self._time_sources())
        if changed:
            self._presence = Presence(self._backend, [implementation for implementation, _ in self._built.values()])
            await self._follow_cancellations()

    async def be_seen(self) -> None:
        """Says that the worker is there, to those who look at jobs; nobody believes it for more than half a minute."""
        await self._presence.tick()

    def _lane(self, implementation: Implementation[Any, Any], middleware: tuple[Middleware, ...]) -> Lane:
        implementation = replace(implementation, retry=replace(implementation.retry, jitter=False))
        invoker = invoker_for(implementation, self._threads, self._processes)
        return Lane(
            self._backend,
            implementation,
            Executor(implementation, middleware, invoker, self._backend.run),
            lease_ms=self.declared.lease_ms,
            on_failure=FailureLog(self.declared.listeners),
            on_trouble=_raise,
            wake=self._news,
        )

    def _time_sources(self) -> list[TimeSource]:
        """Everything that becomes due by itself, besides jobs. What a worker does at other instants belongs here."""
        sources: list[TimeSource] = [self._renewals, WorkflowDeadlines(self._backend)]
        for task, lane in self._lanes.items():
            recoverer = StallRecoverer(self._backend, task, self.declared.implementations[task].stall)
            sources.append(StallSweeps(self._backend, self._clock, lane, recoverer, begins_ms=self._begins_ms))
        if self._scheduler is not None:
            sources.append(self._scheduler)
        return sources

    async def _declare_schedules(self) -> None:
        """Stores schedules that are new, and becomes their scheduler, which is due whenever one of them is."""
        declared = self.declared
        if self._scheduler is None:
            producer = AsyncProducer(self._backend, serializer=declared.serializer)
            self._scheduler = scheduler_of(declared, self._backend, producer)
        if self._scheduler is not None and not self._stored.issuperset(declared.schedules):
            self._stored.update(declared.schedules)
            await self._scheduler.declare()

    def declare_anew(self) -> None:
        """Stores the schedules again in a storage that was emptied; they begin now."""
        if self._scheduler is not None:
            self._scheduler.declare_at_once()

    async def _follow_cancellations(self) -> None:
        if self._canceller is not None:
            await end([self._canceller])
        subscribed = asyncio.Event()
        running = {task: lane.attempts for task, lane in self._lanes.items()}
        role = Canceller(self._backend, running, on_subscribed=subscribed.set)
        self._canceller = asyncio.get_running_loop().create_task(perform(role, _ignore), name=role.name)
        await subscribed.wait()

    @property
    def sources(self) -> tuple[TimeSource, ...]:
        """What becomes due by itself, besides jobs."""
        return self._sources

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that have a lane, in the order in which they were implemented."""
        return tuple(self._lanes)

    @property
    def running(self) -> int:
        """How many attempts are under way."""
        return sum(lane.attempts.running for lane in self._lanes.values())

    @property
    def unsettled(self) -> int:
        """How many attempts are under way, or have ended without their outcome being stored."""
        return sum(len(lane.attempts) for lane in self._lanes.values())

    def has_outcomes(self, task: str) -> bool:
        """Whether attempts of a task ended whose outcomes are not stored yet."""
        return self._lanes[task].has_outcomes

    def can_claim(self, task: str) -> bool:
        """Whether the lane of a task has a free slot."""
        return self._lanes[task].free_slots() > 0

    async def look(self, task: str) -> Exchanged:
        """Stores the outcomes of a task's attempts, and starts as many jobs as there are free slots."""
        reply = await self._lanes[task].step()
        await drive_async(sweep_untold(task, 0), self._backend.run)
        return reply

    async def settle(self, task: str) -> Exchanged:
        """Stores the outcomes of a task's attempts, and starts nothing."""
        return await self._lanes[task].step(most=0)

    async def prune(self) -> None:
        """Deletes ended jobs that are too old or too many, if the worker was given limits: not by the default ones."""
        if self.declared.retention is None:
            return
        for task in self._lanes:
            await RetentionPruner(self._backend, task, self.declared.retention).tick()

    async def tell(self, event: JobEvent) -> None:
        """Calls the listeners to a job's event, one after the other."""
        if event.task in self.declared.codecs:
            await self.declared.listeners.deliver(f"task:{event.kind}", event, task=event.task)

    async def announce(self, name: WorkerEventName) -> None:
        """Calls the listeners to an event of the worker."""
        await self.declared.listeners.deliver(name, WorkerEvent(name=name))

    async def call(self, implementation: Implementation[Any, Any], data: object) -> object:
        """Calls middleware and handler without a job, again as often as the retry policy says, at once.

        Raises:
            ValidationError: the data, or the result, does not fit the contract.
            Exception: what the handler raised at last.
        """
        implementation = self.declared.implementations[implementation.task]
        invoker = invoker_for(implementation, self._threads, self._processes)
        middleware = (self._around, *self.declared.middleware)
        executor = Executor(implementation, middleware, invoker, self._backend.run)
        return await call_directly(executor, implementation, data, now_ms=self._clock.now_ms())

    async def close(self) -> None:
        """Stops attempts that are under way, and ends everything."""
        async with contextlib.AsyncExitStack() as last_first:
            last_first.callback(self._threads.close)
            last_first.push_async_callback(self._processes.close)
            if self._canceller is not None:
                last_first.push_async_callback(end, [self._canceller])
            await self._stop_attempts()

    async def _stop_attempts(self) -> None:
        for lane in self._lanes.values():
            lane.stop_claiming()
            lane.attempts.stop_all()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                while self.running:
                    self._news.clear()
                    await self._news.wait()
        for lane in self._lanes.values():
            lane.attempts.close()
        leftovers = [task for lane in self._lanes.values() for task in lane.attempts.leftovers()]
        await asyncio.gather(*leftovers, return_exceptions=True)

    def drop(self) -> None:
        """Ends what can be ended without an event loop, for those whose own is closed."""
        if self._canceller is not None:
            with contextlib.suppress(RuntimeError):
                self._canceller.cancel()
        if self._scheduler is not None:
            self._scheduler.give_up()
        self._threads.close()
        self._processes.kill()


def _raise(error: BaseException) -> None:
    raise error


def _ignore(_error: BaseException) -> None:
    """A rehearsal's backend does not break; its role is tried again as in any worker."""
