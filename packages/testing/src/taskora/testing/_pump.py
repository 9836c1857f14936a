"""The loop of a runner: what is ready runs, and then the time goes to the next instant at which something is due."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from taskora.contracts import UsageError
from taskora.testing._clock import VirtualClock
from taskora.testing._journal import Journal
from taskora.testing._waits import Waits, at_work, telling, working
from taskora.wire.backends import MemoryBackend
from taskora.worker import Rehearsal, TimeSource

_PRUNE_MS: Final = 30_000
# A message that is on its way (a cancellation, a result) arrives within a few rounds of the event loop.
_GRACE_ROUNDS: Final = 10

Due: TypeAlias = tuple[int, TimeSource | None]
Work: TypeAlias = Callable[[], Awaitable[None]]


class Pump:
    """Drives a rehearsal. Time stands still while handlers work; it may move while they wait for other jobs."""

    def __init__(
        self,
        rehearsal: Rehearsal,
        clock: VirtualClock,
        memory: MemoryBackend,
        journal: Journal,
        waits: Waits,
        news: asyncio.Event,
        *,
        most: int,
    ) -> None:
        self._rehearsal: Final = rehearsal
        self._clock: Final = clock
        self._memory: Final = memory
        self._journal: Final = journal
        self._waits: Final = waits
        self._news: Final = news
        self._most: Final = most
        self._lock: Final = asyncio.Lock()
        self._look: Final[set[str]] = set()
        self._told = len(journal.events_from(0))
        self._ticked: Final[dict[TimeSource, int]] = {}
        self._started: Counter[str] = Counter()
        self._is_over = False
        self._pruned_ms = clock.now_ms()

    def look_at(self, task: str) -> None:
        """Jobs of a task may be ready."""
        self._look.add(task)
        self._news.set()

    def forget(self) -> None:
        """The journal was emptied."""
        self._told = 0

    async def settle(self) -> None:
        """Runs what is ready or due now, and what that makes ready, until nothing is.

        Raises:
            UsageError: called by a handler, or jobs make jobs without end.
        """
        await self.advance(self._clock.now_ms())

    async def advance(self, until_ms: int) -> None:
        """Goes to an instant, and stops on the way wherever something is due."""

        async def work() -> None:
            await self._settle()
            while (dues := await self._dues()) and dues[0][0] <= until_ms:
                await self._go_to(dues)
            self._move(until_ms)
            await self._settle()
            await self._prune()

        await self._work(work)

    async def advance_while(self, unfinished: Callable[[int], bool]) -> None:
        """Goes from instant to instant as long as something is due, and `unfinished` says so of the next one."""

        async def work() -> None:
            await self._settle()
            while (dues := await self._dues()) and unfinished(dues[0][0]):
                await self._go_to(dues)

        await self._work(work)

    async def next_due_ms(self) -> int | None:
        """When something happens next if the time moves."""
        dues = await self._dues()
        return dues[0][0] if dues else None

    async def _work(self, work: Work) -> None:
        if working.get():
            raise UsageError("a handler, or a listener, cannot make the runner work that runs it: dispatch, and return")
        async with self._lock:
            with at_work():
                await self._rehearsal.open()
                await self._rehearsal.be_seen()
                self._look.update(self._rehearsal.tasks)
                self._begin_counting()
                await work()
                await self._rehearsal.be_seen()

    async def _settle(self) -> None:
        while True:
            self._news.clear()
            await self._tell()
            if await self._look_once():
                continue
            if await self._is_quiet():
                self._check_count()
                return
            await self._news.wait()

    async def _tell(self) -> None:
        events = self._journal.events_from(self._told)
        self._told += len(events)
        token = telling.set(True)
        try:
            for event in events:
                await self._rehearsal.tell(event)
        finally:
            telling.reset(token)

    async def _look_once(self) -> bool:
        """Every lane that has something to store, or may find something to run, looks once; whether any did."""
        looked = False
        for task in self._rehearsal.tasks:
            may_claim = not self._is_over and task in self._look and self._rehearsal.can_claim(task)
            if not (may_claim or self._rehearsal.has_outcomes(task)):
                continue
            looked = True
            if may_claim:
                self._look.discard(task)
            reply = await (self._rehearsal.settle(task) if self._is_over else self._rehearsal.look(task))
            if reply.claims or reply.settlements:
                self._look.add(task)
            self._count(task, len(reply.claims))
        return looked

    def _begin_counting(self) -> None:
        self._started.clear()
        self._ticked.clear()
        self._is_over = False

    def _count(self, task: str, claims: int) -> None:
        self._started[task] += claims
        self._is_over |= claims > 0 and self._started.total() > self._most

    def _check_count(self) -> None:
        """Complains once what was started has ended, so that the runner is left in order."""
        if self._is_over:
            ((most, count),) = self._started.most_common(1)
            raise UsageError(
                f"jobs make jobs without end: task {most!r} was started {count} times while the time stood still; "
                f"if that is meant, give the runner max_jobs above {self._most}"
            )

    async def _is_quiet(self) -> bool:
        """Whether nothing happens any more unless the time moves."""
        for _ in range(_GRACE_ROUNDS):
            if self._news.is_set() or self._rehearsal.unsettled > self._waits.blocked():
                return False
            await asyncio.sleep(0)
        return not self._news.is_set()

    async def _go_to(self, dues: list[Due]) -> None:
        """Goes to the first of the instants, does what is due then, and runs what that makes ready."""
        instant_ms = dues[0][0]
        self._move(instant_ms)
        for due_ms, source in dues:
            if source is not None and due_ms <= instant_ms:
                self._ticked[source] = instant_ms  # what it could not do now, it cannot before the time moves
                await source.tick()
        await self._prune()
        await self._settle()

    def _move(self, instant_ms: int) -> None:
        if instant_ms > self._clock.now_ms():
            self._begin_counting()
        self._clock.move_to(instant_ms)
        self._memory.notify_time()
        self._look.update(self._rehearsal.tasks)

    async def _dues(self) -> list[Due]:
        """Everything that is due, and cannot be done before the time moves, earliest first."""
        now_ms = self._clock.now_ms()
        jobs = (self._memory.next_due_ms(task) for task in self._rehearsal.tasks)
        dues: list[Due] = [(due_ms, None) for due_ms in jobs if due_ms is not None and due_ms > now_ms]
        for source in self._rehearsal.sources:
            due_ms = await source.next_due_ms()
            if due_ms is not None and (due_ms > now_ms or self._ticked.get(source) != now_ms):
                dues.append((max(due_ms, now_ms), source))
        return sorted(dues, key=lambda due: due[0])

    async def _prune(self) -> None:
        """What a worker deletes in the background is gone at the next stop after that."""
        if self._clock.now_ms() - self._pruned_ms >= _PRUNE_MS:
            self._pruned_ms = self._clock.now_ms()
            await self._rehearsal.prune()
