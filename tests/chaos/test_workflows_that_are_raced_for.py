"""Stopping, cancelling, filing and retrying one workflow at once, in every order, with the death of anybody anywhere.

Each pair is interrupted at any point of the first, and any point of the second, and each of them goes on or not; with
and without sweepers and workers that come by in between; and with replies that get lost. Of the points a fixed sample
is tried; `HYPOTHESIS_PROFILE=long` tries them all.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest

from taskora.producer._dead_letters import retry_all_dead
from taskora.wire import Flow, cancel_workflow, reopen_workflow, repair_workflow, settle_steps, time_out
from tests.chaos.interleaving import ID, Actor, World, failed_and_not_told

Maker = Callable[[World], Flow[Any]]
Scene = Callable[[], tuple[World, Flow[Any], Flow[Any]]]
_IS_LONG: Final = os.environ.get("HYPOTHESIS_PROFILE") == "long"
_RANDOM_SCHEDULES: Final = 2000 if _IS_LONG else 100
_POINTS: Final = 10_000 if _IS_LONG else 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a race ended."""

    world: World
    first: Actor
    second: Actor
    state: str

    @property
    def told_true(self) -> int:
        """How many were told that they let the workflow run again."""
        return [self.first.reply, self.second.reply].count(True)


def failing_and_retried() -> tuple[World, Flow[Any], Flow[Any]]:
    world, failures, _ = failed_and_not_told()
    return world, settle_steps(failures[:1]), reopen_workflow(ID)


def stopping_and_retried() -> tuple[World, Flow[Any], Flow[Any]]:
    world, failures, _ = failed_and_not_told()
    stopping = world.actor(settle_steps(failures[:1]))
    stopping.go(2)  # the job is read, and the workflow has stopped; the cascade is still to come
    assert world.record().state == "failed"
    return world, stopping.rest(), reopen_workflow(ID)


def stopped(*, completely: bool = True) -> World:
    world, failures, _ = failed_and_not_told()
    world.actor(settle_steps(failures[:1])).go(None if completely else 2)
    world.reopened = 0
    return world


def retried_twice() -> tuple[World, Flow[Any], Flow[Any]]:
    return stopped(), reopen_workflow(ID), reopen_workflow(ID)


def retried_twice_while_stopping() -> tuple[World, Flow[Any], Flow[Any]]:
    return stopped(completely=False), reopen_workflow(ID), reopen_workflow(ID)


def cancelled_and_retried() -> tuple[World, Flow[Any], Flow[Any]]:
    return stopped(), cancel_workflow(ID, "enough"), reopen_workflow(ID)


def running_cancelled_and_retried() -> tuple[World, Flow[Any], Flow[Any]]:
    world, _, _ = failed_and_not_told()
    return world, cancel_workflow(ID, "enough"), reopen_workflow(ID)


def filed_and_retried() -> tuple[World, Flow[Any], Flow[Any]]:
    return stopped(completely=False), repair_workflow(ID), reopen_workflow(ID)


def timed_out_and_advanced() -> tuple[World, Flow[Any], Flow[Any]]:
    world, _, running = failed_and_not_told()
    return world, time_out(ID, 0), settle_steps([world.settle(running)])


def cancelled_and_advanced() -> tuple[World, Flow[Any], Flow[Any]]:
    world, _, running = failed_and_not_told()
    return world, cancel_workflow(ID, "enough"), settle_steps([world.settle(running)])


def told_late_and_retried() -> tuple[World, Flow[Any], Flow[Any]]:
    """The same failure is told once more, by somebody who heard of it before it was revived."""
    world, failures, _ = failed_and_not_told()
    world.drive(settle_steps(failures[:1]))
    world.reopened = 0
    return world, settle_steps(failures), reopen_workflow(ID)


def timed_out_late_and_retried() -> tuple[World, Flow[Any], Flow[Any]]:
    return stopped(), time_out(ID, 0), reopen_workflow(ID)


def letters_and_cascade() -> tuple[World, Flow[Any], Flow[Any]]:
    world, failures, _ = failed_and_not_told()
    return world, settle_steps(failures[:1]), retry_all_dead("fail")


def letters_and_retried() -> tuple[World, Flow[Any], Flow[Any]]:
    return stopped(), retry_all_dead("fail"), reopen_workflow(ID)


SCENES: Final[dict[str, Scene]] = {
    scene.__name__: scene
    for scene in (
        failing_and_retried,
        stopping_and_retried,
        retried_twice,
        retried_twice_while_stopping,
        cancelled_and_retried,
        running_cancelled_and_retried,
        filed_and_retried,
        timed_out_and_advanced,
        cancelled_and_advanced,
        told_late_and_retried,
        timed_out_late_and_retried,
        letters_and_cascade,
        letters_and_retried,
    )
}
# Nothing but a retry that succeeds may decide how these end: nobody cancels, and what failed does not fail again.
_ENDS_WELL: Final = {
    "retried_twice",
    "retried_twice_while_stopping",
    "filed_and_retried",
    "told_late_and_retried",
    "timed_out_late_and_retried",
    "letters_and_retried",
}
every_scene = pytest.mark.parametrize("name", [*SCENES])


def length_of(scene: Scene, *, second: bool) -> int:
    """How many operations one of the two makes when nobody disturbs it."""
    world, *flows = scene()
    return world.actor(flows[second]).go()


def ended(name: str, world: World, first: Actor, second: Actor) -> Outcome:
    record = world.recover()
    outcome = Outcome(world=world, first=first, second=second, state=record.state)
    assert outcome.told_true <= world.reopened or "cancel" in name, "somebody was told true for nothing"
    if name in _ENDS_WELL and world.reopened:
        assert record.state == "completed", (record.state, record.error)
    return outcome


def interrupted(scene: Scene, *, in_all: bool = False) -> list[tuple[int, int]]:
    """Points at which the first of two, and then the second, are interrupted."""
    lengths = (length_of(scene, second=False), length_of(scene, second=True) + 2)
    points = [(first, second) for first in range(lengths[0] + 1) for second in range(lengths[1] + 1)]
    if in_all or len(points) <= _POINTS:
        return points
    return random.Random(scene.__name__).sample(points, _POINTS)


@every_scene
@pytest.mark.parametrize("order", ["first goes on", "second goes on"])
@pytest.mark.parametrize("meanwhile", ["nothing", "sweep and work"])
def test_two_who_wait_for_each_other_anywhere_end_right(name: str, order: str, meanwhile: str) -> None:
    for pauses in interrupted(SCENES[name]):
        world, *flows = SCENES[name]()
        first, second = (world.actor(flow) for flow in flows)
        first.go(pauses[0])
        second.go(pauses[1])
        if "sweep" in meanwhile:
            world.sweep()
        if "work" in meanwhile:
            world.work()
        for actor in (first, second) if order == "first goes on" else (second, first):
            actor.go()
        ended(name, world, first, second)


@every_scene
@pytest.mark.parametrize("dies", ["first", "second", "both"])
def test_whoever_dies_anywhere_leaves_nothing_undone(name: str, dies: str) -> None:
    for pauses in interrupted(SCENES[name]):
        world, *flows = SCENES[name]()
        first, second = (world.actor(flow) for flow in flows)
        first.go(pauses[0])
        second.go(pauses[1])
        if dies == "first":
            second.go()
        elif dies == "second":
            first.go()
        ended(name, world, first, second)


@every_scene
def test_whoever_is_taken_for_dead_and_goes_on_later_does_no_harm(name: str) -> None:
    for pauses in interrupted(SCENES[name]):
        world, *flows = SCENES[name]()
        first, second = (world.actor(flow) for flow in flows)
        first.go(pauses[0])
        second.go(pauses[1])
        for _ in range(3):
            world.sweep()
            world.work()
        first.go()
        second.go()
        ended(name, world, first, second)


@every_scene
def test_any_order_of_single_operations_ends_right(name: str) -> None:
    for seed in range(_RANDOM_SCHEDULES):
        chance = random.Random(f"{name} {seed}")
        world, *flows = SCENES[name]()
        actors = [world.actor(flow) for flow in flows]
        while not all(actor.is_done for actor in actors):
            match chance.randrange(12):
                case 0:
                    world.sweep()
                case 1:
                    world.work()
                case _:
                    chance.choice(actors).go(1, loses_replies=chance.random() < 0.2)
            if chance.random() < 0.02:
                break  # both die
        ended(name, world, *actors)


@every_scene
def test_lost_replies_change_nothing(name: str) -> None:
    world, *flows = SCENES[name]()
    first, second = (world.actor(flow) for flow in flows)
    first.go()
    second.go()
    plain = ended(name, world, first, second)
    world, *flows = SCENES[name]()
    again = [world.actor(flow) for flow in flows]
    for actor in again:
        actor.go(loses_replies=True)
    repeated = ended(name, world, *again)
    assert (repeated.state, [actor.reply for actor in again]) == (plain.state, [first.reply, second.reply])


@pytest.mark.parametrize("name", ["retried_twice", "retried_twice_while_stopping"])
def test_of_two_who_retry_at_once_one_is_told_true(name: str) -> None:
    for pauses in interrupted(SCENES[name], in_all=True):
        world, *flows = SCENES[name]()
        first, second = (world.actor(flow) for flow in flows)
        first.go(pauses[0])
        second.go(pauses[1])
        first.go()
        second.go()
        outcome = ended(name, world, first, second)
        assert (outcome.told_true, outcome.state, world.reopened) == (1, "completed", 1)


def test_a_retry_that_dies_anywhere_can_be_repeated() -> None:
    for operations in range(length_of(retried_twice, second=False) + 1):
        world = stopped()
        world.actor(reopen_workflow(ID)).go(operations)
        world.drive(reopen_workflow(ID))
        assert world.recover().state == "completed"
        assert world.reopened == 1


def test_a_retry_of_dead_letters_that_dies_anywhere_can_be_repeated() -> None:
    world = stopped()
    length = world.actor(retry_all_dead("fail")).go()
    for operations in range(length + 1):
        world = stopped()
        world.actor(retry_all_dead("fail")).go(operations)
        world.drive(retry_all_dead("fail"))
        assert world.recover().state == "completed"
        assert world.reopened == 1
