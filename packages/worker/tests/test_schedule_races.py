"""Operators and schedulers at the same schedule: every order of their operations, and deaths between any two.

What a call has promised holds from its return on: what is paused or removed is not dispatched any more, what was
changed runs as it was changed, what was resumed or created runs. No run is dispatched twice, and none is lost.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from packages.worker.tests.interleaving import Act, Choose, Death, Play, Turns, orders_with, random_orders
from packages.worker.tests.test_scheduler import LOCK_MS, SECOND, Stage, beat
from taskora.contracts import Schedule
from taskora.producer._schedules import (
    pause_schedule,
    put_schedule,
    remove_schedule,
    resume_schedule,
    schedule_record,
    update_schedule,
)
from taskora.testing.conformance import StorageClock
from taskora.wire import Flow, Operation, ReadDue, ReadSchedules, drive_async, occurrence_id
from taskora.wire.backends import MemoryBackend

EVERY_S = 4
SWITCHES = 2
FIRST = Schedule(every=EVERY_S, data="old", overlap=True, on_missed="catch-up")
OTHER = Schedule(every=EVERY_S, data="new", overlap=True, on_missed="catch-up")


def flowing(flow: Callable[[], Flow[Any]]) -> Act:
    return lambda turns: drive_async(flow(), turns.run)


ACTS: dict[str, Act] = {
    "pause": flowing(lambda: pause_schedule("s")),
    "resume": flowing(lambda: resume_schedule("s")),
    "remove": flowing(lambda: remove_schedule("s")),
    "create": flowing(lambda: put_schedule("s", schedule_record(beat, OTHER))),
    "change": flowing(lambda: update_schedule("s", lambda _: OTHER)),
    "sooner": flowing(lambda: update_schedule("s", lambda _: Schedule(every=2, data="new", overlap=True))),
    "tick": lambda turns: Stage(StorageClock(), MemoryBackend()).scheduler(turns).tick(),
}


@dataclass
class History:
    """What happened, in order: runs that were dispatched, with their data, and calls that returned."""

    stage: Stage
    seen: set[str] = field(default_factory=set[str])
    happened: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    async def note(self, _name: str, operation: Operation[Any], _reply: Any) -> None:
        if type(operation).__name__ == "DispatchOccurrences":
            for record in await self.stage.jobs():
                if record.job_id not in self.seen:
                    self.seen.add(record.job_id)
                    self.happened.append(("run", (record.data or b"").decode().strip('"')))

    def after(self, name: str) -> list[str]:
        """The data of runs since a call returned."""
        if ("returned", name) not in self.happened:
            return []
        since = self.happened.index(("returned", name))
        return [what for kind, what in self.happened[since:] if kind == "run"]


async def played(
    names: list[str], choose: Choose, *, before: tuple[str, ...] = (), death: Death | None = None
) -> tuple[Stage, History, Play]:
    """A schedule that is due, and what some do to it at the same time."""
    clock = StorageClock()
    stage = Stage(clock, MemoryBackend(clock=clock))
    await stage.producer.schedules.create("s", beat, FIRST)
    history = History(stage)
    stage.advance(EVERY_S * SECOND)
    for name in before:
        await ACTS[name](Unhindered(stage.backend))  # type: ignore[arg-type]  # it only runs operations
    await history.note("", DISPATCH, None)
    history.happened.clear()
    play = Play([Turns(name, stage.backend, history.note, death) for name in names])

    def returning(name: str) -> Act:
        async def act(turns: Turns) -> None:
            await ACTS[name](turns)
            history.happened.append(("returned", name))

        return act

    await play.perform([returning(name) for name in names], choose)
    return stage, history, play


@dataclass
class Unhindered:
    backend: MemoryBackend

    async def run(self, operation: Operation[Any]) -> Any:
        return await self.backend.run(operation)


class DispatchOccurrences:
    """Makes a history look at what was dispatched."""


DISPATCH: Any = DispatchOccurrences()


async def live_on(stage: Stage, history: History) -> None:
    """Time passes, until nobody leads and nothing is claimed any more; then another scheduler leads."""
    scheduler = stage.scheduler()
    stage.advance(LOCK_MS)
    for _ in range(4):
        stage.advance(EVERY_S * SECOND)
        await scheduler.tick()
    await history.note("", DISPATCH, None)


async def stored(stage: Stage) -> tuple[dict[str, Any] | None, int | None]:
    records = await stage.backend.run(ReadSchedules(names=["s"]))
    due = (await stage.backend.run(ReadDue(names=["s"]))).due
    return (await stage.record("s") if records else None), due.get("s")


async def check(stage: Stage, history: History, play: Play) -> None:
    """What must hold whatever the order was, and whoever died."""
    names = {actor.name for actor in play.actors}
    ids = Counter(await stage.dispatched())
    assert set(ids.values()) <= {1}
    if "resume" not in names and "create" not in names:
        for name in ("pause", "remove"):
            assert history.after(name) == [], (name, history.happened, play.turns, play.actors[0].death)
    if "remove" not in names:
        for name in ("change", "sooner", "create"):
            assert set(history.after(name)) <= {"new"}
    record, due_ms = await stored(stage)
    is_to_run = record is not None and not record.get("py:paused", False)
    assert (due_ms is not None) is is_to_run, play.turns
    if is_to_run:
        now_ms = stage.clock.now_ms()
        runs = {str(occurrence_id("beat", "s", at)) for at in range(now_ms - 12 * SECOND, now_ms + 1, SECOND)}
        assert len(runs & ids.keys()) >= 2


PAIRS = [
    (["pause", "tick"], ()),
    (["resume", "tick"], ("pause",)),
    (["remove", "tick"], ()),
    (["change", "tick"], ()),
    (["sooner", "tick"], ()),
    (["create", "tick"], ()),
    (["create", "tick"], ("remove",)),
    (["pause", "resume"], ()),
    (["pause", "resume"], ("pause",)),
    (["pause", "change"], ()),
    (["remove", "create"], ()),
    (["remove", "resume"], ("pause",)),
    (["change", "sooner"], ()),
]
CROWDS = [
    (["pause", "resume", "tick"], ()),
    (["pause", "resume", "tick"], ("pause",)),
    (["remove", "create", "tick"], ()),
    (["pause", "change", "tick"], ()),
    (["tick", "pause", "remove", "create"], ()),
]


@pytest.mark.parametrize(("names", "before"), PAIRS)
async def test_two_at_the_same_time_in_every_order_of_few_switches(names: list[str], before: tuple[str, ...]) -> None:
    for choose in orders_with(SWITCHES):
        stage, history, play = await played(names, choose, before=before)
        assert all(actor.task is not None and actor.task.exception() is None for actor in play.actors)
        assert {what for kind, what in history.happened if kind == "returned"} == set(names)
        await live_on(stage, history)
        await check(stage, history, play)


@pytest.mark.parametrize(("names", "before"), [*PAIRS, *CROWDS])
async def test_anybody_may_die_between_any_two_operations(names: list[str], before: tuple[str, ...]) -> None:
    for actor in names:
        for at in range(1, 10):
            for reaches in (False, True):
                death = Death(actor, at, reaches)
                for choose in random_orders(f"{names} {death}", 2):
                    stage, history, play = await played(names, choose, before=before, death=death)
                    await live_on(stage, history)
                    await check(stage, history, play)


@pytest.mark.parametrize(("names", "before"), CROWDS)
async def test_several_at_the_same_time_in_any_order(names: list[str], before: tuple[str, ...]) -> None:
    for choose in random_orders(str(names), 60):
        stage, history, play = await played(names, choose, before=before)
        assert all(actor.task is not None and actor.task.exception() is None for actor in play.actors)
        await live_on(stage, history)
        await check(stage, history, play)


async def test_many_operators_at_once_all_succeed() -> None:
    for choose in random_orders("many", 20):
        stage, history, play = await played(["change"] * 12 + ["pause"], choose)
        assert all(actor.task is not None and actor.task.exception() is None for actor in play.actors)
        await live_on(stage, history)
        await check(stage, history, play)
