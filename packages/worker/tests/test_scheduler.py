"""The scheduler, tick by tick, on a clock that tests move."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import pytest

from taskora.contracts import JobState, Schedule, define_task
from taskora.producer import AsyncProducer
from taskora.testing.conformance import StorageClock
from taskora.wire import (
    Backend,
    Exchange,
    JobRecord,
    Lead,
    ListJobs,
    Operation,
    Outcome,
    OutcomeKind,
    Prune,
    ReadSchedules,
    SetDue,
    WriteSchedule,
    occurrence_id,
)
from taskora.wire.backends import MemoryBackend
from taskora.worker import DeclaredSchedules, Scheduler, SchedulerConfig

R = TypeVar("R")

SECOND = 1000
LOCK_MS = 30 * SECOND
beat = define_task("beat", input=object)


class Killed(BaseException):
    """The process is gone: nothing that it would have done afterwards happens."""


@dataclass
class Mortal:
    """The backend of a scheduler that dies at its n-th operation, before or after that has reached the storage."""

    inner: Backend
    lives: int = -1
    reaches: bool = True
    done: int = 0

    async def run(self, operation: Operation[R]) -> R:
        self.done += 1
        if self.lives == self.done and not self.reaches:
            raise Killed
        reply = await self.inner.run(operation)
        if self.lives == self.done:
            raise Killed
        return reply


@dataclass
class Stage:
    """A storage with schedules, and any number of schedulers."""

    clock: StorageClock
    backend: MemoryBackend
    producer: AsyncProducer = field(init=False)

    def __post_init__(self) -> None:
        self.producer = AsyncProducer(self.backend)

    def scheduler(self, backend: Any = None, **declared: Schedule) -> Scheduler:
        schedules = DeclaredSchedules()
        for name, schedule in declared.items():
            schedules.add(name, beat, schedule)
        return Scheduler(
            backend or self.backend,
            self.producer,
            schedules,
            tasks=["beat"],
            serializer=None,
            config=SchedulerConfig(),
        )

    async def create(self, name: str, **options: Any) -> None:
        await self.producer.schedules.create(name, beat, Schedule(**options))

    def advance(self, milliseconds: int) -> int:
        self.clock.advance(milliseconds)
        return self.clock.now_ms()

    async def dispatched(self, task: str = "beat") -> list[str]:
        """Ids of all jobs that were ever dispatched, also of those that are gone."""
        feed = self.backend.open_feed()
        events = await feed.read({task: "0-0"}, block_ms=1, limit=10_000)
        await feed.close()
        return [event.job_id for event in events if event.name in ("waiting", "delayed")]

    async def seconds(self, name: str, *, since_ms: int, until: int = 200) -> list[int]:
        """Which runs of a schedule were dispatched, as seconds since an instant, in order."""
        names = {str(occurrence_id("beat", name, since_ms + second * SECOND)): second for second in range(-9, until)}
        return [names[job_id] for job_id in await self.dispatched()]

    async def finish_everything(self) -> None:
        """All jobs end, and leave no record."""
        claims = (await self.backend.run(Exchange(task="beat", token="T", lease_ms=LOCK_MS, slots=1000))).claims
        ends = [Outcome(kind=OutcomeKind.COMPLETED, job_id=claim.job_id, token=claim.token) for claim in claims]
        await self.backend.run(Exchange(task="beat", token="U", lease_ms=LOCK_MS, slots=0, outcomes=ends))
        await self.backend.run(Prune(task="beat", state=JobState.COMPLETED, max_age_ms=None, max_items=0))

    async def jobs(self) -> list[JobRecord]:
        states = (JobState.WAITING, JobState.DELAYED)
        pages = [await self.backend.run(ListJobs(task="beat", state=state, limit=1000)) for state in states]
        return [record for page in pages for record in page.records]

    async def record(self, name: str) -> dict[str, Any]:
        raw = (await self.backend.run(ReadSchedules(names=[name])))[name]
        body: dict[str, Any] = json.loads(raw)
        return body

    async def write(self, name: str, body: object, due_ms: int | None) -> None:
        """Stores what another program would."""
        old = (await self.backend.run(ReadSchedules(names=[name]))).get(name)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        assert await self.backend.run(WriteSchedule(name=name, expected=old, record=raw))
        await self.backend.run(SetDue(name=name, expected="any", due_ms=due_ms))


@pytest.fixture
def stage() -> Stage:
    clock = StorageClock()
    backend = MemoryBackend(clock=clock)
    clock.on_move(backend.notify_time)
    return Stage(clock, backend)


async def test_what_is_due_is_dispatched_and_due_again_one_interval_later(stage: Stage) -> None:
    await stage.create("s", every="1s", data={"a": 1}, overlap=True)
    scheduler, begin = stage.scheduler(), stage.clock.now_ms()
    await scheduler.tick()
    assert await stage.dispatched() == []
    for milliseconds in (1350, 650, 999, 1, 2000):  # late, early, and with a run left out
        stage.advance(milliseconds)
        await scheduler.tick()
    assert await stage.seconds("s", since_ms=begin) == [1, 2, 3, 5]
    (record, *_) = await stage.jobs()
    assert (record.data, record.version, record.max_attempts) == (b'{"a":1}', 1, 1)


async def test_the_scheduler_comes_again_when_something_is_due(stage: Stage) -> None:
    scheduler = stage.scheduler()
    assert scheduler.interval == 1.0
    await stage.create("s", every="700ms")
    await scheduler.tick()
    assert scheduler.interval == pytest.approx(0.7)
    stage.advance(690)
    await scheduler.tick()
    assert scheduler.interval == 0.02
    stage.advance(10)
    await scheduler.tick()
    assert scheduler.interval == pytest.approx(0.7)
    assert await scheduler.next_due_ms() == stage.clock.now_ms() + 700


@pytest.mark.parametrize(
    ("on_missed", "expected"),
    [
        ("skip", [5]),
        ("catch-up", [1, 2, 3, 4, 5]),
        ("catch-up-limit:2", [4, 5]),
        ("catch-up-limit:100", [1, 2, 3, 4, 5]),
    ],
)
async def test_missed_runs_are_made_up_for_as_the_schedule_says(
    stage: Stage, on_missed: str, expected: list[int]
) -> None:
    await stage.create("s", every="1s", on_missed=on_missed)
    begin = stage.clock.now_ms()
    stage.advance(5 * SECOND + 10)
    await stage.scheduler().tick()
    assert await stage.seconds("s", since_ms=begin) == expected
    assert (await stage.record("s"))["lastJobId"] == str(occurrence_id("beat", "s", begin + 5 * SECOND))
    assert (await stage.record("s"))["lastRun"] == begin + 5 * SECOND + 10


async def test_no_more_than_a_thousand_missed_runs_are_made_up_for(stage: Stage) -> None:
    await stage.create("s", every="1s", on_missed="catch-up")
    stage.advance(5000 * SECOND)
    await stage.scheduler().tick()
    assert len(await stage.dispatched()) == 1000


async def test_only_one_scheduler_leads_and_the_next_one_follows_at_once(stage: Stage) -> None:
    await stage.create("s", every="1s")
    first, second = stage.scheduler(), stage.scheduler()
    await first.tick()
    stage.advance(SECOND)
    await second.tick()
    assert await stage.dispatched() == []
    await first.stop()
    await second.tick()
    assert len(await stage.dispatched()) == 1


async def test_a_task_that_nobody_here_knows_is_dispatched_all_the_same(stage: Stage) -> None:
    due_ms = stage.clock.now_ms()
    await stage.write("theirs", {"task": "elsewhere", "every": 1000, "py:version": 4}, due_ms)
    await stage.scheduler().tick()
    assert await stage.dispatched("elsewhere") == [str(occurrence_id("elsewhere", "theirs", due_ms))]


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"task":"beat"}', b'{"task":"beat","cron":"H * * * *"}'])
async def test_a_record_that_cannot_be_read_does_not_stop_the_others(
    stage: Stage, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.create("a", every="1s")
    await stage.create("z", every="1s")
    stage.advance(SECOND)
    await stage.write("m", damage, stage.clock.now_ms())
    with caplog.at_level(logging.ERROR, "taskora.worker"):
        await stage.scheduler().tick()
    assert len(await stage.dispatched()) == 2
    assert "schedule_unreadable" in caplog.text
    info = await stage.producer.schedules.find("m")
    assert info is not None
    assert info.problem is not None
    assert "cannot be read" in info.problem
    assert info.next_run is not None  # it is tried again, once somebody has repaired it


async def test_one_task_that_refuses_does_not_stop_the_others(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    await stage.create("a", every="1s")
    await stage.create("z", every="1s")
    stage.advance(SECOND)

    class Refusing(Mortal):
        async def run(self, operation: Operation[R]) -> R:
            if getattr(operation, "schedule", "") == "a":
                raise ValueError("no")
            return await super().run(operation)

    with caplog.at_level(logging.CRITICAL, "taskora.worker"), pytest.raises(ValueError, match="no"):
        await stage.scheduler(Refusing(stage.backend)).tick()
    assert await stage.dispatched() == [str(occurrence_id("beat", "z", stage.clock.now_ms()))]


async def test_a_schedule_that_is_removed_halfway_is_forgotten(stage: Stage) -> None:
    await stage.backend.run(SetDue(name="gone", expected="any", due_ms=stage.clock.now_ms()))
    scheduler = stage.scheduler()
    await scheduler.tick()
    assert await scheduler.next_due_ms() is None


@pytest.mark.parametrize("due_ms_ago", [0, 10, 4000, 1_000_000])
async def test_what_another_program_planned_is_made_up_for_as_it_would(stage: Stage, due_ms_ago: int) -> None:
    now_ms = stage.clock.now_ms()
    theirs = {"task": "beat", "every": 1000, "onMissed": "catch-up", "lastRun": now_ms - 5000, "note": 7}
    await stage.write("s", theirs, now_ms - due_ms_ago)
    await stage.scheduler().tick()
    assert await stage.seconds("s", since_ms=now_ms) == [-4, -3, -2, -1, 0]
    assert (await stage.record("s"))["note"] == 7


async def test_what_another_program_planned_and_never_ran_runs_once(stage: Stage) -> None:
    await stage.write("s", {"task": "beat", "every": 1000, "onMissed": "catch-up"}, stage.clock.now_ms() - 50_000)
    scheduler = stage.scheduler()
    await scheduler.tick()
    assert len(await stage.dispatched()) == 1
    assert await scheduler.next_due_ms() == stage.clock.now_ms() + 1000


async def test_a_run_waits_for_the_one_before_unless_they_may_overlap(stage: Stage) -> None:
    begin = stage.clock.now_ms()
    await stage.create("alone", every="1s")
    scheduler = stage.scheduler()
    for _ in range(3):
        stage.advance(SECOND)
        await scheduler.tick()
    assert await stage.seconds("alone", since_ms=begin) == [1]
    await stage.finish_everything()
    stage.advance(SECOND)
    await scheduler.tick()
    assert await stage.seconds("alone", since_ms=begin) == [1, 4]


async def test_jitter_moves_each_run_by_an_amount_of_its_own_that_all_schedulers_agree_on(stage: Stage) -> None:
    await stage.create("s", every="1m", jitter="50s", overlap=True, on_missed="catch-up")
    scheduler = stage.scheduler()
    for _ in range(20):
        stage.advance(60 * SECOND)
        await scheduler.tick()
    delays = [record.delay_ms or 0 for record in await stage.jobs()]
    assert len(delays) == 20
    assert max(delays) <= 50 * SECOND
    assert len(set(delays)) > 10


async def test_a_schedule_ends(stage: Stage) -> None:
    begin = stage.clock.now_ms()
    end = datetime.fromtimestamp(begin / 1000, UTC) + timedelta(seconds=2)
    await stage.create("s", every="1s", end=end, overlap=True)
    scheduler = stage.scheduler()
    for _ in range(5):
        stage.advance(SECOND)
        await scheduler.tick()
    assert await stage.seconds("s", since_ms=begin) == [1, 2]
    info = await stage.producer.schedules.find("s")
    assert info is not None
    assert (info.next_run, info.paused, info.problem) == (None, False, None)


async def life(stage: Stage, scheduler: Scheduler, *, seconds: int, after_tick: Callable[[], Awaitable[None]]) -> None:
    for _ in range(seconds):
        await scheduler.tick()
        await after_tick()
        stage.advance(SECOND)


@pytest.mark.parametrize("reaches", [False, True])
@pytest.mark.parametrize("on_missed", ["skip", "catch-up"])
async def test_a_leader_may_die_at_any_operation(reaches: bool, on_missed: str) -> None:
    """Every run is dispatched once, although no job leaves a record and retention keeps nothing."""
    for lives in range(1, 40):
        clock = StorageClock()
        stage = Stage(clock, MemoryBackend(clock=clock))
        await stage.create("s", every="4s", on_missed=on_missed)
        begin = stage.clock.now_ms()
        mortal = Mortal(stage.backend, lives=lives, reaches=reaches)
        died = False
        try:
            await life(stage, stage.scheduler(mortal), seconds=25, after_tick=stage.finish_everything)
        except Killed:
            died = True
        await stage.finish_everything()
        await life(stage, stage.scheduler(), seconds=80, after_tick=stage.finish_everything)
        runs = await stage.seconds("s", since_ms=begin)
        assert len(runs) == len(set(runs)), (lives, runs)
        now = (stage.clock.now_ms() - begin) // SECOND
        every = [second for second in range(4, now) if second % 4 == 0]
        if on_missed == "catch-up" or not died:
            assert sorted(runs) == every, lives
        else:
            assert set(runs) <= set(every), lives
            assert runs[-1] == every[-1], lives


async def test_two_leaders_dispatch_every_run_once(stage: Stage) -> None:
    """Both believe to lead, and every operation of one may come between any two of the other."""
    begin = stage.clock.now_ms()
    for name in "abc":
        await stage.create(name, every="1s", overlap=True)

    class Believing(Mortal):
        async def run(self, operation: Operation[R]) -> R:
            await asyncio.sleep(0)
            reply: Any = True if isinstance(operation, Lead) else await super().run(operation)
            return cast("R", reply)

    leaders = [stage.scheduler(Believing(stage.backend)) for _ in range(2)]
    for _ in range(20):
        stage.advance(SECOND)
        await asyncio.gather(*(leader.tick() for leader in leaders))
    dispatched = Counter(await stage.dispatched())
    names = [str(occurrence_id("beat", name, begin + second * SECOND)) for name in "abc" for second in range(1, 21)]
    assert dispatched == Counter(names)


async def test_a_leader_that_wakes_up_after_its_claim_changes_nothing(stage: Stage) -> None:
    begin = stage.clock.now_ms()
    await stage.create("s", every="1s")
    reached, awake = asyncio.Event(), asyncio.Event()

    class Freezing(Mortal):
        async def run(self, operation: Operation[R]) -> R:
            if type(operation).__name__ == "DispatchOccurrences":
                reached.set()
                await awake.wait()
            return await super().run(operation)

    stage.advance(SECOND)
    late = asyncio.create_task(stage.scheduler(Freezing(stage.backend)).tick())
    await reached.wait()
    stage.advance(LOCK_MS + 1)
    follower = stage.scheduler()
    await follower.tick()
    before = await stage.record("s"), await follower.next_due_ms()
    awake.set()
    await late
    assert (await stage.record("s"), await follower.next_due_ms()) == before
    assert await stage.seconds("s", since_ms=begin) == [31]


async def test_a_clock_that_steps_back_and_forth_doubles_nothing(stage: Stage) -> None:
    begin = stage.clock.now_ms()
    await stage.create("s", every="1s", on_missed="catch-up", overlap=True)
    scheduler = stage.scheduler()
    for step in (1000, 3000, -2500, 1000, -10_000, 14_000, 500, -700, 5000):
        stage.advance(step)
        await scheduler.tick()
        await stage.scheduler().tick()
        await stage.finish_everything()
    runs = await stage.seconds("s", since_ms=begin)
    assert runs == sorted(set(runs)) == list(range(1, (stage.clock.now_ms() - begin) // SECOND + 1))


async def test_an_operator_who_pauses_meanwhile_wins(stage: Stage) -> None:
    await stage.create("s", every="1s")

    class Paused(Mortal):
        async def run(self, operation: Operation[R]) -> R:
            if type(operation).__name__ == "WriteSchedule":
                await stage.producer.schedules.pause("s")
            return await super().run(operation)

    stage.advance(SECOND)
    await stage.scheduler(Paused(stage.backend)).tick()
    info = await stage.producer.schedules.find("s")
    assert info is not None
    assert (info.paused, info.problem, info.next_run) == (True, None, None)
    assert info.last_job_id is not None


async def test_an_operator_who_changes_it_meanwhile_wins(stage: Stage) -> None:
    await stage.create("s", every="1s")

    class Updated(Mortal):
        async def run(self, operation: Operation[R]) -> R:
            if type(operation).__name__ == "DispatchOccurrences":
                await stage.producer.schedules.update("s", every="1h")
            return await super().run(operation)

    stage.advance(SECOND)
    scheduler = stage.scheduler(Updated(stage.backend))
    await scheduler.tick()
    info = await stage.producer.schedules.find("s")
    assert info is not None
    assert info.schedule == Schedule(every="1h")
    assert await stage.dispatched() == []  # what was read before the change may not be dispatched after it
    assert await scheduler.next_due_ms() == stage.clock.now_ms() + 3_600_000
