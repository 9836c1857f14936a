"""Looking at jobs, counts and tasks."""

from collections.abc import Awaitable, Callable

import pytest

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import TASK, Subject, cancelled, completed, enqueueing, job, retrying
from taskora.wire import CountJobs, JobCounts, JobStatus, ListJobs, ReadJob, ReadStatuses, ScanTasks

NO_JOBS = JobCounts(
    waiting=0,
    active=0,
    delayed=0,
    completed=0,
    failed=0,
    expired=0,
    cancelled=0,
    oldest_waiting_age_ms=None,
)
NAMES = [f"job-{number}" for number in (3, 5, 1, 6, 2, 4, 0)]


async def counted(subject: Subject) -> JobCounts:
    return await subject.run(CountJobs(task=TASK))


async def wait(subject: Subject) -> list[str]:
    await subject.enqueue(*(job(name, priority=int(name == NAMES[5])) for name in NAMES))
    return [NAMES[5], *NAMES[:5], NAMES[6]]


async def delay(subject: Subject) -> list[str]:
    await subject.enqueue(*(job(name, delay_ms=1000 - index) for index, name in enumerate(NAMES)))
    return NAMES[::-1]


async def claim(subject: Subject) -> list[str]:
    await subject.claim(*NAMES)
    return NAMES


async def retry(subject: Subject) -> list[str]:
    await subject.claim(*NAMES)
    await subject.settle(*(retrying(name, delay_ms=1000 - index) for index, name in enumerate(NAMES)))
    return NAMES[::-1]


async def complete(subject: Subject) -> list[str]:
    for name in NAMES:
        await subject.claim(name)
        await subject.settle(completed(name))
        subject.advance(1)
    return NAMES[::-1]


async def fail(subject: Subject) -> list[str]:
    for name in NAMES:
        await subject.fail(name)
        subject.advance(1)
    return NAMES[::-1]


async def cancel(subject: Subject) -> list[str]:
    await subject.claim(*NAMES)
    await subject.settle(*(cancelled(name) for name in NAMES))
    return sorted(NAMES, reverse=True)  # of the same instant


async def expire(subject: Subject) -> list[str]:
    await subject.enqueue(*(job(name, ttl_ms=1) for name in NAMES))
    subject.advance(1)
    await subject.exchange(slots=1)
    return sorted(NAMES, reverse=True)


FILLERS: dict[JobState, Callable[[Subject], Awaitable[list[str]]]] = {
    JobState.WAITING: wait,
    JobState.DELAYED: delay,
    JobState.ACTIVE: claim,
    JobState.RETRYING: retry,
    JobState.COMPLETED: complete,
    JobState.FAILED: fail,
    JobState.CANCELLED: cancel,
    JobState.EXPIRED: expire,
}


class TestReading(Cases):
    """Looking at jobs, counts and tasks."""

    @pytest.mark.parametrize("state", JobState)
    async def test_pages_of_every_state_come_in_order_without_gaps(self, subject: Subject, state: JobState) -> None:
        expected = await FILLERS[state](subject)
        assert await subject.listed(state) == expected
        for limit in (1, 2, 3):
            pages = [await subject.listed(state, offset=offset, limit=limit) for offset in range(0, 9, limit)]
            assert pages == [expected[offset : offset + limit] for offset in range(0, 9, limit)]
        assert await subject.listed(state, offset=7) == []
        assert await subject.listed(state, offset=100, limit=5) == []
        assert await subject.listed(state, limit=0) == []

    @pytest.mark.parametrize("state", JobState)
    async def test_a_listed_job_is_the_job(self, subject: Subject, state: JobState) -> None:
        first, *_ = await FILLERS[state](subject)
        [listed] = (await subject.run(ListJobs(task=TASK, state=state, limit=1))).records
        assert listed == await subject.record(first)
        assert listed.status.state is state

    async def test_delayed_and_retrying_jobs_are_told_apart(self, subject: Subject) -> None:
        await subject.claim("r1", "r2")
        await subject.settle(retrying("r1", delay_ms=10), retrying("r2", delay_ms=30))
        await subject.enqueue(job("d1", delay_ms=5), job("d2", delay_ms=20), job("d3", delay_ms=40))
        assert await subject.listed(JobState.DELAYED) == ["d1", "d2", "d3"]
        assert await subject.listed(JobState.RETRYING) == ["r1", "r2"]
        assert await subject.listed(JobState.DELAYED, offset=1, limit=1) == ["d2"]
        assert await subject.listed(JobState.RETRYING, offset=1, limit=1) == ["r2"]
        assert (await counted(subject)).delayed == 5

    async def test_listing_passes_over_an_id_without_a_record(self, subject: Subject) -> None:
        await subject.enqueue(*"abc")
        subject.tricks.lose_record(TASK, "b")
        assert await subject.listed(JobState.WAITING) == ["a", "c"]

    async def test_jobs_are_counted_by_where_they_stand(self, subject: Subject) -> None:
        assert await counted(subject) == NO_JOBS
        await subject.claim("c", "f", "x", "r", "a")
        await subject.settle(completed("c"), cancelled("x"), retrying("r", delay_ms=1000))
        await subject.fail("f2")
        await subject.enqueue(job("e", ttl_ms=1))
        subject.advance(1)
        await subject.exchange(slots=1)
        await subject.enqueue("w", job("p", priority=1), job("d", delay_ms=1000))
        subject.advance(5)
        assert await counted(subject) == JobCounts(
            waiting=2,
            active=2,
            delayed=2,
            completed=1,
            failed=1,
            expired=1,
            cancelled=1,
            oldest_waiting_age_ms=5,
        )

    async def test_the_oldest_waiting_job_may_have_no_priority(self, subject: Subject) -> None:
        await subject.enqueue("old")
        subject.advance(40)
        await subject.enqueue("young", job("high", priority=3))
        subject.advance(2)
        assert (await counted(subject)).oldest_waiting_age_ms == 42

    async def test_the_oldest_waiting_job_may_have_the_lowest_priority(self, subject: Subject) -> None:
        await subject.enqueue(job("old", priority=1))
        subject.advance(30)
        await subject.enqueue(job("young", priority=1), job("high", priority=7), "none")
        subject.advance(3)
        assert (await counted(subject)).oldest_waiting_age_ms == 33

    async def test_statuses_come_in_order_with_gaps_for_unknown_jobs(self, subject: Subject) -> None:
        await subject.claim("a")
        await subject.settle(completed("a", b"[1]"))
        await subject.enqueue("b")
        statuses = await subject.run(ReadStatuses(task=TASK, job_ids=["b", "unknown", "a", "b"]))
        waiting = JobStatus(
            state=JobState.WAITING,
            attempt=1,
            processed_on_ms=None,
            finished_on_ms=None,
            result=None,
            error=None,
            cancel_reason=None,
            progress=None,
        )
        assert statuses[0] == statuses[3] == waiting
        assert statuses[1] is None
        assert statuses[2] == JobStatus(
            state=JobState.COMPLETED,
            attempt=1,
            processed_on_ms=subject.start_ms,
            finished_on_ms=subject.start_ms,
            result=b"[1]",
            error=None,
            cancel_reason=None,
            progress=None,
        )

    async def test_reading_nothing_gives_nothing(self, subject: Subject) -> None:
        assert await subject.run(ReadStatuses(task=TASK, job_ids=[])) == ()
        assert await subject.run(ReadJob(task=TASK, job_id="unknown")) is None

    async def test_a_record_that_was_read_does_not_change_any_more(self, subject: Subject) -> None:
        await subject.enqueue("a")
        before = await subject.record("a")
        await subject.exchange(slots=1)
        assert before.status.state is JobState.WAITING
        assert before.fields["state"] == b"waiting"

    async def test_every_task_that_ever_had_a_job_is_found(self, subject: Subject) -> None:
        names = {f"task.{number}" for number in range(40)}
        for name in names:
            enqueue = enqueueing("a")
            await subject.run(type(enqueue)(task=name, version=1, max_attempts=1, jobs=enqueue.jobs))
        await subject.run(CountJobs(task="never-used"))
        found: set[str] = set()
        page = await subject.run(ScanTasks())
        found.update(page.tasks)
        while page.cursor != "0":
            page = await subject.run(ScanTasks(cursor=page.cursor))
            found.update(page.tasks)
        assert found == names
