"""What a runner needs per event loop, and what outlasts them."""

import asyncio
from typing import Any, Final

from taskora.contracts import UNSET, TaskContract, UsageError
from taskora.producer import AsyncBoundTask, AsyncProducer, PayloadCodec
from taskora.testing._backend import ObservedBackend, Observer
from taskora.testing._clock import VirtualClock
from taskora.testing._journal import Journal
from taskora.testing._looking import is_unfinished
from taskora.testing._pump import Pump
from taskora.testing._waits import Waits
from taskora.wire.backends import MemoryBackend
from taskora.worker import Implementation, Loan, Rehearsal, Worker


class Stage:
    """The storage of a runner, and the worker it borrowed."""

    def __init__(self, worker: Worker | None, clock: VirtualClock, *, most: int) -> None:
        self.clock: Final = clock
        self.memory: Final = MemoryBackend(clock=clock)
        self.journal: Final = Journal(self.memory, self._codec_of)
        observer = Observer(self.journal, self._changed)
        self._waits: Final = Waits(self.memory.blocking(), self._notify, self._process)
        self.backend: Final = ObservedBackend(self.memory, clock, observer, self._waits.waiting_for)
        self.own_backend: Final = ObservedBackend(self.memory, clock, observer, self._waits.waiting_for)
        self._lanes_backend: Final = ObservedBackend(
            self.memory, clock, observer, self._waits.waiting_for, by_lane=True
        )
        self.reader: Final = self.memory.blocking()
        self.worker: Final = worker or Worker(self.backend)
        self.loan: Final[Loan] = self.worker.lend(self.backend)
        self._most: Final = most
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event = asyncio.Event()
        self._rehearsal: Rehearsal | None = None
        self._pump: Pump | None = None
        self._producers: list[AsyncProducer] = []
        self._is_ready = False

    def _codec_of(self, task: str) -> PayloadCodec[Any]:
        codec = self.loan.declared.codecs.get(task)
        return codec or PayloadCodec[Any](task, "output", UNSET, self.loan.declared.serializer)

    def _changed(self, task: str) -> None:
        """An operation changed something; from any thread."""
        loop, pump = self._loop, self._pump
        if loop is None or pump is None or loop.is_closed():
            return
        if _running_loop() is loop:
            pump.look_at(task)
        else:
            loop.call_soon_threadsafe(pump.look_at, task)

    def _notify(self) -> None:
        self._news.set()

    async def _process(self, task: str, job_id: str, *, until_it_ends: bool) -> None:
        implementation = self.loan.declared.implementations.get(task)
        if until_it_ends and implementation is not None:
            await self.finish(implementation, job_id)
        else:
            await (await self.pump()).settle()

    async def finish(self, implementation: Implementation[Any, Any], job_id: str) -> None:
        """Lets everything happen until a job has ended, or cannot get any further."""
        pump, begin_ms = await self.pump(), self.clock.now_ms()
        await pump.advance_while(lambda due_ms: is_unfinished(self.reader, implementation, job_id, begin_ms, due_ms))

    @property
    def producer(self) -> AsyncProducer:
        """The runner's own producer, for the event loop in which it is used."""
        self._enter_loop()
        if not self._producers:
            self._producers.append(self._new_producer())
        return self._producers[0]

    def bound(self, contract: TaskContract[Any, Any]) -> AsyncBoundTask[Any, Any]:
        """A task to dispatch to. Contracts of one name may differ: old producers and new workers meet in tests, too."""
        implementation = self.loan.declared.implementations.get(contract.name)
        if implementation is not None and implementation.declares(contract):
            contract = implementation.contract
        for producer in (self.producer, *self._producers[1:]):
            try:
                return producer.register(contract)
            except UsageError:
                continue
        self._producers.append(self._new_producer())
        return self._producers[-1].register(contract)

    def _new_producer(self) -> AsyncProducer:
        return AsyncProducer(self.own_backend, serializer=self.loan.declared.serializer)

    def check_open(self) -> None:
        """Does nothing while the runner has its worker.

        Raises:
            UsageError: it has been closed, or another runner took the worker.
        """
        if self.loan.is_over:
            raise UsageError("this runner is closed, or another one has borrowed its worker since: make a new one")

    def _enter_loop(self) -> None:
        """Begins anew in another event loop than the last: jobs and time stay, what runs belonged to the other."""
        self.check_open()
        loop = _running_loop()
        if loop is None or loop is self._loop:
            return
        if self._rehearsal is not None:
            self._rehearsal.drop()
            self.loan.begin_anew()
        self._loop, self._news, self._producers = loop, asyncio.Event(), []
        rehearsal = Rehearsal(
            self.loan.declared, self._lanes_backend, self.clock, news=self._news, around=self._waits.mark_attempt
        )
        self._rehearsal = rehearsal
        self._pump = Pump(rehearsal, self.clock, self.memory, self.journal, self._waits, self._news, most=self._most)

    async def rehearsal(self) -> Rehearsal:
        """The worker, in the hands of the runner, as it is declared now."""
        self._enter_loop()
        assert self._rehearsal is not None
        await self._rehearsal.open()
        if not self._is_ready:
            self._is_ready = True
            await self._rehearsal.announce("worker:ready")
        return self._rehearsal

    async def pump(self) -> Pump:
        """What makes the worker work."""
        await self.rehearsal()
        assert self._pump is not None
        return self._pump

    def clear(self) -> None:
        """Forgets everything that was stored.

        Raises:
            UsageError: jobs run.
        """
        if self._rehearsal is not None and self._rehearsal.unsettled:
            raise UsageError("cannot clear a runner while handlers run: await process_all() first")
        self.memory.clear()
        self.journal.clear()
        if self._rehearsal is not None:
            self._rehearsal.declare_anew()
        if self._pump is not None:
            self._pump.forget()

    async def close(self) -> None:
        """Ends what runs, and gives the worker back."""
        if not self.loan.is_over and self._rehearsal is not None and _running_loop() is self._loop:
            if self._is_ready:
                await self._rehearsal.announce("worker:closing")
            await self._rehearsal.close()
            for producer in self._producers:
                await producer.close()
            self._rehearsal = None
        await self.loan.end()
        self.drop()

    def drop(self) -> None:
        """The same at once, as far as it goes without an event loop."""
        if self._rehearsal is not None:
            self._rehearsal.drop()
            self._rehearsal = None
        self.loan.drop()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
