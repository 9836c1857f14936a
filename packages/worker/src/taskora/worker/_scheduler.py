"""Dispatches what is due by itself, if no other scheduler leads."""

import asyncio
import contextlib
import logging
from collections.abc import Collection
from typing import Any, Final

from taskora.contracts import UNSET, BackendError
from taskora.producer import AsyncProducer, PayloadCodec, Producer
from taskora.wire import (
    MOST_DUE,
    OURS,
    Backend,
    ClaimDue,
    ClaimedDue,
    Handshake,
    Lead,
    ReadDue,
    ReadSchedules,
    ScheduleRecordError,
    Serializer,
    SetDue,
    StepDown,
    random_id,
)
from taskora.worker._config import SchedulerConfig
from taskora.worker._declared_schedules import DeclaredSchedules
from taskora.worker._due_schedule import DueSchedule
from taskora.worker._loan import Declared

logger = logging.getLogger("taskora.worker")

_SHORTEST_PAUSE_SECONDS: Final = 0.02
_STOP_SECONDS: Final = 2.0
_MOST_BATCHES: Final = 50
_CHECK_MS: Final = 60_000


class Scheduler:
    """One of any number of schedulers of a prefix; the one that leads does the work.

    It has no timer of its own: each `tick` does what is due by the clock of the storage, and `interval` then says when
    to come again.

    Args:
        backend: Where schedules and jobs are.
        producer: Through which schedules are declared.
        declared: The schedules of this worker.
        tasks: The tasks that this worker implements.
        serializer: How inputs become bytes.
        config: How often to look, and how long to lead unheard.
    """

    def __init__(
        self,
        backend: Backend,
        producer: AsyncProducer,
        declared: DeclaredSchedules,
        *,
        tasks: Collection[str],
        serializer: Serializer | None,
        config: SchedulerConfig,
    ) -> None:
        self.name: Final = "scheduler"
        self.interval = config.poll_interval_ms / 1000
        self._backend: Final = backend
        self._producer: Final = producer
        self._declared: Final = declared
        self._tasks: Final = tasks
        self._codec: Final = PayloadCodec[Any]("schedules", "input", UNSET, serializer)
        self._serializer: Final = serializer
        self._config: Final = config
        self._token: Final = random_id()
        self._ticking: asyncio.Task[None] | None = None
        self._keyspace_since = ""
        self._checked_ms = 0

    async def declare(self) -> None:
        """Stores what this worker declares; says which declared schedules of its tasks it does not know any more.

        Raises:
            BackendError: the server cannot be reached.
        """
        for name, contract, schedule in self._declared.items():
            await self._producer.schedules.create(name, contract, schedule, declared=True)
        for info in await self._producer.schedules.list():
            if info.declared and info.task in self._tasks and info.name not in self._declared:
                logger.warning("schedule_orphaned", extra={"schedule": info.name, "task": info.task})

    def declare_at_once(self) -> None:
        """Stores what this worker declares, without an event loop."""
        schedules = Producer(self._backend.blocking(), serializer=self._serializer).schedules
        for name, contract, schedule in self._declared.items():
            schedules.create(name, contract, schedule, declared=True)

    async def tick(self) -> None:
        """Dispatches everything that is due. One that was begun ends, also if its caller is cancelled."""
        self._ticking = asyncio.get_running_loop().create_task(self._tick(), name="scheduler-tick")
        await asyncio.shield(self._ticking)

    async def next_due_ms(self) -> int | None:
        """When something is due next, in epoch milliseconds."""
        return (await self._backend.run(ReadDue())).earliest_ms

    async def stop(self) -> None:
        """Lets the tick end that is under way, and lets another scheduler lead at once."""
        if self._ticking is not None:
            await asyncio.wait({self._ticking}, timeout=_STOP_SECONDS)
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        with contextlib.suppress(BackendError, TimeoutError):  # its time ends by itself
            async with asyncio.timeout(_STOP_SECONDS):
                await self._backend.run(StepDown(token=self._token))

    def give_up(self) -> None:
        """Lets another scheduler lead at once, for those who have no event loop any more."""
        with contextlib.closing(self._backend.blocking()) as backend:
            backend.run(StepDown(token=self._token))

    async def _tick(self) -> None:
        self.interval = self._config.poll_interval_ms / 1000
        lease_ms = self._config.lock_ttl_ms
        trouble: list[Exception] = []
        for _ in range(_MOST_BATCHES):
            if not await self._backend.run(Lead(token=self._token, ttl_ms=lease_ms)):
                break
            claimed = await self._backend.run(ClaimDue(lease_ms=lease_ms))
            next_ms = await self._run_all(claimed, trouble)
            self._come_again(claimed.now_ms, next_ms)
            if len(claimed.due) < MOST_DUE:
                await self._check_keyspace(claimed.now_ms)
                break
        if trouble:
            raise trouble[0]

    async def _run_all(self, claimed: ClaimedDue, trouble: list[Exception]) -> int | None:
        """All at once, and each for itself: what goes wrong with one must not stop the others."""
        if not claimed.due:
            return claimed.next_ms
        records = await self._backend.run(ReadSchedules(names=[*claimed.due]))

        async def attempt(name: str) -> int | None:
            try:
                return await self._run_one(name, claimed, records.get(name))
            except ScheduleRecordError as error:
                logger.error("schedule_unreadable: %s", error, extra={"schedule": name})
            except Exception as error:
                logger.exception("schedule_failed", extra={"schedule": name})
                trouble.append(error)
            return None

        planned = [claimed.next_ms, *await asyncio.gather(*map(attempt, claimed.due))]
        return min((instant_ms for instant_ms in planned if instant_ms is not None), default=None)

    async def _run_one(self, name: str, claimed: ClaimedDue, raw: bytes | None) -> int | None:
        until_ms = claimed.now_ms + self._config.lock_ttl_ms
        if raw is None:  # removed, as far as its remover got
            await self._backend.run(SetDue(name=name, expected=until_ms, due_ms=None))
            return None
        due = DueSchedule(
            name=name, due_ms=claimed.due[name], now_ms=claimed.now_ms, claimed_until_ms=until_ms, raw=raw
        )
        return await due.run(self._backend, self._codec)

    def _come_again(self, now_ms: int, next_ms: int | None) -> None:
        if next_ms is not None:
            longest = self._config.poll_interval_ms / 1000
            self.interval = max(_SHORTEST_PAUSE_SECONDS, min(longest, (next_ms - now_ms) / 1000))

    async def _check_keyspace(self, now_ms: int) -> None:
        """Notices a server that has lost its data: then the meta record is another one, and schedules are declared."""
        if abs(now_ms - self._checked_ms) < _CHECK_MS:
            return
        self._checked_ms = now_ms
        since = (await self._backend.run(Handshake(ours=OURS))).written_at
        if self._keyspace_since not in ("", since):
            logger.warning("schedules_declared_again: the server has lost its data")
            await self.declare()
        self._keyspace_since = since


def scheduler_of(declared: Declared, backend: Backend, producer: AsyncProducer) -> Scheduler | None:
    """The scheduler of a worker, if it declares schedules or asks for one."""
    if declared.scheduling is None and not declared.schedules:
        return None
    return Scheduler(
        backend,
        producer,
        declared.schedules,
        tasks=declared.implementations,
        serializer=declared.serializer,
        config=declared.scheduling or SchedulerConfig(),
    )
