"""Deleting jobs that have ended."""

import pytest

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import TASK, Subject, completed
from taskora.wire import Prune, ReadLogs, RemoveFinished, Report, ReportEntry


async def finish(subject: Subject, *job_ids: str) -> None:
    """Completes jobs, one per millisecond."""
    for job_id in job_ids:
        await subject.claim(job_id)
        await subject.settle(completed(job_id))
        subject.advance(1)


def pruning(
    *, max_age_ms: int | None = None, max_items: int | None = None, spared_ms: int = 0, limit: int = 1000
) -> Prune:
    return Prune(
        task=TASK,
        state=JobState.COMPLETED,
        max_age_ms=max_age_ms,
        max_items=max_items,
        spared_ms=spared_ms,
        limit=limit,
    )


class TestRetention(Cases):
    """Deleting jobs that have ended."""

    @pytest.mark.parametrize(
        ("prune", "kept"),
        [
            (pruning(), "abcde"),
            (pruning(max_age_ms=3), "de"),  # now is 5 ms after the first
            (pruning(max_age_ms=6), "abcde"),
            (pruning(max_age_ms=0), ""),
            (pruning(max_items=2), "de"),
            (pruning(max_items=0), ""),
            (pruning(max_items=9), "abcde"),
            (pruning(max_age_ms=4, max_items=1), "e"),
            (pruning(max_age_ms=3, max_items=4), "de"),
            (pruning(max_age_ms=0, limit=2), "cde"),
            (pruning(max_items=1, limit=3), "de"),
            (pruning(max_age_ms=4, max_items=0, limit=3), "de"),
            (pruning(max_age_ms=0, max_items=0, limit=0), "abcde"),
            (pruning(max_age_ms=0, spared_ms=4), "cde"),
            (pruning(max_items=1, spared_ms=3), "de"),
            (pruning(max_items=4, spared_ms=3), "bcde"),
        ],
    )
    async def test_ended_jobs_are_pruned_by_age_then_by_number(self, subject: Subject, prune: Prune, kept: str) -> None:
        await finish(subject, *"abcde")
        assert (await subject.run(prune)).removed == 5 - len(kept)
        assert await subject.listed(JobState.COMPLETED) == [*reversed(kept)]
        for job_id in "abcde":
            assert (await subject.state(job_id) is None) == (job_id not in kept)

    async def test_pruning_leaves_other_states_alone(self, subject: Subject) -> None:
        await subject.fail("f")
        await finish(subject, "c")
        await subject.enqueue("w")
        assert (await subject.run(pruning(max_items=0))).removed == 1
        assert (await subject.listed(JobState.FAILED), await subject.listed(JobState.WAITING)) == (["f"], ["w"])

    async def test_a_removed_job_leaves_nothing_behind(self, subject: Subject) -> None:
        await subject.claim("a")
        await subject.run(Report(task=TASK, entries=[ReportEntry(kind="log", job_id="a", token="T", payload=b"{}")]))
        await subject.settle(completed("a"))
        assert await subject.run(RemoveFinished(task=TASK, state=JobState.COMPLETED, job_id="a")) is True
        assert await subject.state("a") is None
        assert await subject.run(ReadLogs(task=TASK, job_id="a")) == ()
        assert await subject.listed(JobState.COMPLETED) == []
        assert await subject.enqueue("a") == (True,)

    async def test_a_job_is_removed_only_from_the_state_it_is_in(self, subject: Subject) -> None:
        await subject.fail("a")
        assert await subject.run(RemoveFinished(task=TASK, state=JobState.COMPLETED, job_id="a")) is False
        assert await subject.run(RemoveFinished(task=TASK, state=JobState.FAILED, job_id="unknown")) is False
        assert await subject.state("a") is JobState.FAILED

    async def test_a_job_that_has_not_ended_cannot_be_removed(self, subject: Subject) -> None:
        await subject.enqueue("a")
        assert await subject.run(RemoveFinished(task=TASK, state=JobState.COMPLETED, job_id="a")) is False
        assert await subject.state("a") is JobState.WAITING
