"""The notes of jobs whose workflows may not know of their ends."""

from dataclasses import replace

from taskora.contracts import BackendError, JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import LEASE_MS, TASK, Subject, completed
from taskora.wire import (
    AdvanceWorkflow,
    CreateWorkflow,
    EnqueueSteps,
    Exchange,
    ForgetUntold,
    Operation,
    PostponeUntold,
    Prune,
    ReadUntold,
    StepJob,
    WorkflowGraph,
    WorkflowStep,
    drive_async,
    sweep_untold,
)

SECOND_MS = 1000


async def end_untold(subject: Subject, *names: str) -> None:
    """Workflows of one step each, whose job has completed, one per millisecond; nobody told them."""
    for name in names:
        planned = WorkflowStep(task=TASK, deps=(), job_id=name, version=1, data=b"1")
        graph = WorkflowGraph(steps=(planned,), terminal=(0,), name=name)
        await subject.run(CreateWorkflow(workflow_id=f"w-{name}", graph=graph))
        job = StepJob(workflow_id=f"w-{name}", step=0, task=TASK, job_id=name, version=1, data=b"1")
        await subject.run(EnqueueSteps(task=TASK, version=1, steps=[job]))
        await subject.run(Exchange(task=TASK, token="T", lease_ms=LEASE_MS, slots=1))
        await subject.settle(completed(name))
        subject.advance(1)


async def untold(subject: Subject, min_age_ms: int = 0) -> list[str]:
    return [step.job_id for step in await subject.run(ReadUntold(task=TASK, min_age_ms=min_age_ms, limit=100))]


class TestWorkflowNotes(Cases):
    """The notes of jobs whose workflows may not know of their ends."""

    async def test_a_note_is_found_once_it_is_old_enough(self, subject: Subject) -> None:
        await end_untold(subject, "a", "b")
        assert await untold(subject) == ["a", "b"]
        assert await untold(subject, 2) == ["a"]
        assert await untold(subject, 3) == []

    async def test_what_is_put_off_makes_way_and_comes_again(self, subject: Subject) -> None:
        await end_untold(subject, "a", "b")
        assert await subject.run(PostponeUntold(task=TASK, job_ids=["a"], shortest_ms=10, longest_ms=20)) == ()
        assert await untold(subject) == ["b"]
        subject.advance(10)
        assert await untold(subject) == ["b", "a"]

    async def test_it_is_put_off_for_a_quarter_of_its_age_within_bounds(self, subject: Subject) -> None:
        await end_untold(subject, "a")
        postpone = PostponeUntold(task=TASK, job_ids=["a"], shortest_ms=1, longest_ms=10 * SECOND_MS)
        now_ms = 1
        for age_ms, pause_ms in ((8, 2), (4000, 1000), (80_000, 10_000)):
            subject.advance(age_ms - now_ms)
            await subject.run(postpone)
            subject.advance(pause_ms - 1)
            assert await untold(subject) == []
            subject.advance(1)
            assert await untold(subject) == ["a"]
            now_ms = age_ms + pause_ms

    async def test_what_ended_too_long_ago_is_given_up(self, subject: Subject) -> None:
        await end_untold(subject, "a", "b")
        subject.advance(8)
        assert await subject.run(PostponeUntold(task=TASK, job_ids=["b", "a", "?"], give_up_ms=10)) == ("a",)
        subject.advance(10 * SECOND_MS)
        assert await untold(subject) == ["b"]

    async def test_jobs_behind_noted_ones_are_pruned(self, subject: Subject) -> None:
        await end_untold(subject, "a", "b", "c", "d")
        await subject.run(ForgetUntold(task=TASK, job_ids=["b", "d"]))
        prune = Prune(task=TASK, state=JobState.COMPLETED, max_age_ms=0, max_items=0, limit=1)
        for _ in range(10):
            pruned = await subject.run(prune)
            if pruned.cursor is None:
                break
            prune = replace(prune, cursor=pruned.cursor)
        assert await subject.listed(JobState.COMPLETED) == ["c", "a"]
        await subject.run(ForgetUntold(task=TASK, job_ids=["a", "c"]))
        assert (await subject.run(replace(prune, limit=1000, cursor=0))).removed == 2

    async def test_a_workflow_that_cannot_be_told_keeps_no_other_waiting(self, subject: Subject) -> None:
        names = [f"j{number:03}" for number in range(230)]
        await end_untold(subject, *names)
        damaged = {f"w-{name}" for name in names[:225]}

        async def run(operation: Operation[object]) -> object:
            if isinstance(operation, AdvanceWorkflow) and operation.workflow_id in damaged:
                raise BackendError("damaged on purpose", is_permanent=True)
            return await subject.run(operation)

        first = await drive_async(sweep_untold(TASK, 0), run)
        second = await drive_async(sweep_untold(TASK, 0), run)
        assert {workflow.workflow_id for workflow in (*first, *second)} == damaged
        assert await untold(subject) == []
        subject.advance(10 * SECOND_MS)
        damaged.clear()
        assert len(await untold(subject)) == 100
        for _ in range(2):
            assert await drive_async(sweep_untold(TASK, 0), run) == ()
        assert await untold(subject) == []
