"""Of what attempts of a step have spawned, that of the one whose result was stored counts."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import LEASE_MS, Subject
from taskora.testing.conformance._workflows import World, fresh, graph, step
from taskora.wire import Claim, EndedStep, Flow, RecoverStalled, WorkflowGraph, repair_workflow, settle_steps

SPAWNING = graph(step("spawn", data=1), step("two", 0))


def spawning(*values: int) -> Sequence[WorkflowGraph]:
    """A step for each number."""
    return [graph(step("one", data=value)) for value in values]


async def lose(world: World) -> Claim:
    """The claim of a worker that does not come back in time; its job is ready again."""
    claim = await world.claim("spawn")
    world.subject.advance(LEASE_MS)
    for _ in range(2):
        await world.perform(RecoverStalled(task="spawn", max_count=1000))
    return claim


async def go_on(world: World, flow: Flow[None], reply: object) -> None:
    """Finishes what has begun."""
    with suppress(StopIteration):
        while True:
            reply = await world.perform(flow.send(reply))


async def results(world: World, workflow_id: str) -> list[bytes]:
    """What the spawned steps gave that have run, and that the workflow has ended right."""
    await world.recover()
    record = await world.check_ended(workflow_id)
    assert record is not None
    assert (record.state, record.fields["result"]) == ("completed", b"2")
    parts = [number for number, planned in enumerate(record.graph.steps) if planned.parent is not None]
    dropped = [number for number in parts if record.state_of(number) == "cancelled"]
    assert {record.state_of(number) for number in parts} <= {"completed", "cancelled"}
    assert record.dropped == tuple(dropped)
    return sorted(record.result_of(number) for number in parts if number not in dropped)


class TestWorkflowSpawns(Cases):
    """Of what attempts of a step have spawned, that of the one whose result was stored counts."""

    async def test_what_is_planned_twice_is_there_once(self, subject: Subject) -> None:
        world = World(subject)
        workflow_id = await world.dispatch(fresh(SPAWNING))
        claim = await world.claim("spawn")
        world.spawning = lambda: spawning(7, 8)
        assert [await world.spawn(claim) for _ in range(3)] == [True, True, True]
        await world.run_job("spawn", claim)
        assert await results(world, workflow_id) == [b"7", b"8"]
        record = await world.record(workflow_id)
        assert record is not None
        assert len(record.graph.steps) == 4

    async def test_a_plan_that_comes_too_late_does_not_win(self, subject: Subject) -> None:
        world = World(subject)
        workflow_id = await world.dispatch(fresh(SPAWNING))
        stale = await lose(world)
        current = await world.claim("spawn")
        world.spawning = lambda: spawning(1, 2, 3)
        assert await world.spawn(current)
        world.spawning = lambda: spawning(9)
        assert await world.spawn(stale)  # nobody knows yet whose result it will be
        world.spawning = lambda: spawning(1, 2, 3)
        await world.run_job("spawn", current)
        assert not await world.spawn(stale)
        assert await results(world, workflow_id) == [b"1", b"2", b"3"]

    async def test_an_attempt_that_spawned_nothing_drops_what_an_earlier_one_planned(self, subject: Subject) -> None:
        world = World(subject)
        workflow_id = await world.dispatch(fresh(SPAWNING))
        world.spawning = lambda: spawning(9)
        assert await world.spawn(await lose(world))
        world.spawns = False
        await world.work()
        assert await results(world, workflow_id) == []

    async def test_whoever_tells_the_workflow_knows_whose_result_it_is(self, subject: Subject) -> None:
        world = World(subject)
        workflow_id = await world.dispatch(fresh(SPAWNING))
        world.spawning = lambda: spawning(9)
        assert await world.spawn(await lose(world))
        world.spawning = lambda: spawning(1, 2)
        current = await world.claim("spawn")
        assert await world.spawn(current)
        await world.settle("spawn", current, b"1")  # and dies before it tells
        assert await results(world, workflow_id) == [b"1", b"2"]

    async def test_the_look_at_a_workflow_knows_it_too(self, subject: Subject) -> None:
        world = World(subject)
        workflow_id = await world.dispatch(fresh(SPAWNING))
        world.spawning = lambda: spawning(1, 2)
        current = await world.claim("spawn")
        assert await world.spawn(current)
        await world.settle("spawn", current, b"1")
        await world.drive(repair_workflow(workflow_id))
        assert await results(world, workflow_id) == [b"1", b"2"]

    async def test_a_look_that_began_before_the_plan_was_there_knows_it_too(self, subject: Subject) -> None:
        world = World(subject)
        workflow_id = await world.dispatch(fresh(SPAWNING))
        world.spawning = lambda: spawning(1, 2)
        current = await world.claim("spawn")
        look = repair_workflow(workflow_id)
        reply = await world.perform(next(look))
        assert await world.spawn(current)
        await world.settle("spawn", current, b"1")
        await go_on(world, look, reply)
        assert await results(world, workflow_id) == [b"1", b"2"]

    async def test_who_comes_to_tell_of_an_earlier_failure_knows_it_too(self, subject: Subject) -> None:
        world = World(subject)
        workflow_id = await world.dispatch(fresh(SPAWNING))
        world.spawning = lambda: spawning(1, 2)
        current = await world.claim("spawn")
        assert await world.spawn(current)
        await world.settle("spawn", current, b"1")
        failed = EndedStep(task="spawn", job_id=current.job_id, link=current.link, state=JobState.FAILED)
        assert await world.drive(settle_steps([failed])) == ()
        assert await results(world, workflow_id) == [b"1", b"2"]

    async def test_jobs_that_are_not_the_steps_plan_nothing(self, subject: Subject) -> None:
        world = World(subject)
        workflow_id = await world.dispatch(fresh(SPAWNING))
        claim = await world.claim("spawn")
        world.spawning = lambda: spawning(9)
        assert not await world.spawn(replace(claim, job_id="other"))
        world.spawns = False
        await world.run_job("spawn", claim)
        assert not await world.spawn(claim)
        assert await results(world, workflow_id) == []
