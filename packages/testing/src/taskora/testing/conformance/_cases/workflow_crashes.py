"""Workflows end right, whatever operation is the last one of whoever was about to do more."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from taskora.contracts import UsageError
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import Subject
from taskora.testing.conformance._workflows import CrashError, World, fresh, graph, step
from taskora.wire import (
    KEEP_ABANDONED_MS,
    KEEP_COMPLETED_MS,
    CreateWorkflow,
    ListWorkflows,
    ReadWorkflow,
    RememberWorkflow,
    WorkflowGraph,
    WorkflowRecord,
    cancel_workflow,
    reopen_workflow,
    sweep_workflows,
)

Story: TypeAlias = Callable[[World, WorkflowGraph], Awaitable[None]]
Check: TypeAlias = Callable[[WorkflowRecord], None]

CHAIN = graph(step("one", data=3), step("two", 0), step("two", 1))
GROUP = graph(*(step("two", data=number) for number in (1, 2, 3)), terminal=(0, 1, 2))
CHORD = graph(step("one", data=1), step("two", data=2), step("total", 0, 1, shape="[0,1]"))
NESTED = graph(
    step("one", data=1),
    step("two", 0),
    step("one", data=2),
    step("total", 1, 2, shape="[[1],2]"),
    step("two", 3),
    step("one", 3),
    step("total", 4, 5, shape="[4,5]"),
)
WIDE = graph(step("one", data=1), step("one", data=2), step("fail", data=3), step("total", 0, 1, 2, shape="[0,1,2]"))
SPAWNING = graph(step("one", data=1), step("spawn", 0), step("two", 1))


async def _tell_once(world: World, story: Story, template: WorkflowGraph) -> bool:
    """Whether it came to its end."""
    try:
        await story(world, fresh(template))
    except CrashError:
        return False
    world.operations_left = None
    return True


async def _tell(subject: Subject, story: Story, template: WorkflowGraph, check: Check, **settings: Any) -> None:
    """Tells a story again and again, and ends it one operation later each time."""
    for operations in range(500):
        world = World(subject)
        for name, value in settings.items():
            setattr(world, name, value)
        world.operations_left = operations
        ended = await _tell_once(world, story, template)
        await world.recover()
        for workflow_id in world.dispatched:
            record = await world.check_ended(workflow_id)
            if record is not None:
                check(record)
        if ended:
            assert world.dispatched
            return
    raise AssertionError("the story never ends")


async def _dispatch_again(subject: Subject, template: WorkflowGraph, check: Check, *, late: bool) -> None:
    """Ends a dispatch, and the work after it, one operation later each time, and repeats it under the same id."""
    for operations in range(500):
        world, workflow_id = World(subject), f"again-{late}-{operations}"
        world.operations_left = operations

        async def story(world: World, workflow: WorkflowGraph, workflow_id: str = workflow_id) -> None:
            await world.dispatch_once(workflow_id, workflow)
            await world.work()

        ended = await _tell_once(world, story, template)
        world.operations_left = None
        if late:
            await world.recover()
        await world.dispatch_once(workflow_id, fresh(template))
        await world.recover()
        record = await world.check_ended(workflow_id)
        assert record is not None
        check(record)
        if ended:
            return
    raise AssertionError("the story never ends")


async def _run(world: World, workflow: WorkflowGraph) -> None:
    await world.dispatch(workflow)
    await world.work()


def _completed(result: bytes) -> Check:
    def check(record: WorkflowRecord) -> None:
        assert (record.state, record.fields.get("result")) == ("completed", result), dict(record.fields)

    return check


def _stopped(state: str, error: str) -> Check:
    def check(record: WorkflowRecord) -> None:
        assert (record.state, record.error) == (state, error)

    return check


class TestWorkflowCrashes(Cases):
    """Workflows end right, whatever operation is the last one of whoever was about to do more."""

    async def test_a_chain_ends_right(self, subject: Subject) -> None:
        await _tell(subject, _run, CHAIN, _completed(b"12"))

    async def test_a_group_ends_right(self, subject: Subject) -> None:
        await _tell(subject, _run, GROUP, _completed(b"[2,4,6]"))

    async def test_a_chord_ends_right(self, subject: Subject) -> None:
        await _tell(subject, _run, CHORD, _completed(b"5"))

    async def test_a_nested_workflow_ends_right(self, subject: Subject) -> None:
        await _tell(subject, _run, NESTED, _completed(b"12"))

    async def test_a_failure_ends_everything(self, subject: Subject) -> None:
        async def story(world: World, workflow: WorkflowGraph) -> None:
            await world.dispatch(workflow)
            await world.work("fail")
            await world.work()

        await _tell(subject, story, WIDE, _stopped("failed", "fail broke"), failing={"fail"})

    async def test_a_cancellation_ends_everything(self, subject: Subject) -> None:
        async def story(world: World, workflow: WorkflowGraph) -> None:
            workflow_id = await world.dispatch(workflow)
            await world.work("one")
            await world.drive(cancel_workflow(workflow_id, "changed my mind"))
            await world.work()

        def check(record: WorkflowRecord) -> None:
            if record.state != "cancelled":  # the end came before the cancellation
                _completed(b"6")(record)

        await _tell(subject, story, WIDE, check)

    async def test_a_deadline_ends_everything(self, subject: Subject) -> None:
        async def story(world: World, workflow: WorkflowGraph) -> None:
            await world.dispatch(workflow, ttl_ms=60_000)
            await world.work("one")
            world.subject.advance(60_000)
            await world.drive(sweep_workflows())
            await world.work()

        await _tell(subject, story, WIDE, _stopped("cancelled", "workflow timeout"))

    async def test_what_a_step_spawns_runs_once(self, subject: Subject) -> None:
        def spawning() -> tuple[WorkflowGraph, ...]:
            return (
                graph(step("one", data=5), step("two", 0, shape="0")),
                graph(step("two", data=7), step("two", data=8), terminal=(0, 1)),
            )

        def check(record: WorkflowRecord) -> None:
            _completed(b"2")(record)
            ran = sorted(
                record.result_of(number)
                for number, planned in enumerate(record.graph.steps)
                if planned.parent is not None and record.state_of(number) == "completed"
            )
            assert ran == [b"10", b"14", b"16", b"5"]

        await _tell(subject, _run, SPAWNING, check, spawning=spawning)

    async def test_another_try_goes_on_from_where_it_stopped(self, subject: Subject) -> None:
        async def story(world: World, workflow: WorkflowGraph) -> None:
            workflow_id = await world.dispatch(workflow)
            await world.work("one")
            await world.work("fail")
            world.failing = set()
            await world.drive(reopen_workflow(workflow_id))
            await world.work()

        def check(record: WorkflowRecord) -> None:
            if record.state != "failed":  # or else the end came before the other try
                _completed(b"6")(record)

        await _tell(subject, story, WIDE, check, failing={"fail"})

    async def test_a_dispatch_that_is_repeated_runs_each_step_once(self, subject: Subject) -> None:
        await _dispatch_again(subject, NESTED, _completed(b"12"), late=False)

    async def test_a_dispatch_that_is_repeated_late_runs_each_step_once(self, subject: Subject) -> None:
        await _dispatch_again(subject, NESTED, _completed(b"12"), late=True)

    async def test_an_id_means_one_workflow(self, subject: Subject) -> None:
        world = World(subject)
        await world.dispatch_once("one-of-them", fresh(CHAIN))
        with pytest.raises(UsageError, match="has 3 steps and not 4") as refused:
            await world.dispatch_once("one-of-them", fresh(WIDE))
        assert refused.value.field == "workflow_id"
        await world.work()
        await world.dispatch_once("one-of-them", fresh(CHAIN))
        record = await world.check_ended("one-of-them")
        assert record is not None
        _completed(b"12")(record)

    async def test_a_workflow_that_was_given_up_is_not_created_any_more(self, subject: Subject) -> None:
        world, workflow = World(subject), fresh(CHAIN)
        await world.perform(RememberWorkflow(workflow_id="slow", look_ms=30_000))
        subject.advance(60_000)
        await world.drive(sweep_workflows())
        create = CreateWorkflow(workflow_id="slow", graph=workflow)
        assert [await world.perform(create), await world.perform(create.again())] == [False, False]
        assert await world.perform(ListWorkflows(ended=False, offset=0, limit=10)) == ()
        subject.advance(KEEP_ABANDONED_MS)
        assert (await world.perform(ReadWorkflow(workflow_id="slow"))).values == {}

    async def test_the_job_of_an_earlier_try_changes_nothing(self, subject: Subject) -> None:
        world = World(subject)
        world.failing = {"fail"}
        workflow_id = await world.dispatch(fresh(WIDE))
        late = await world.claim("one")
        await world.work("fail")
        world.failing = set()
        await world.drive(reopen_workflow(workflow_id))
        await world.run_job("one", late)
        record = await world.record(workflow_id)
        assert record is not None
        assert (record.state, record.state_of(0)) == ("running", "active")
        await world.work()
        world.runs.clear()  # this one step did have two jobs, one for each try
        ended = await world.check_ended(workflow_id)
        assert ended is not None
        assert (ended.state, ended.fields["result"]) == ("completed", b"6")

    async def test_the_record_of_an_ended_workflow_ends(self, subject: Subject) -> None:
        world = World(subject)
        workflow_id = await world.dispatch(fresh(CHAIN))
        await world.work()
        assert await world.perform(ListWorkflows(ended=True, offset=0, limit=10)) == (workflow_id,)
        subject.advance(KEEP_COMPLETED_MS)
        assert await world.record(workflow_id) is None
