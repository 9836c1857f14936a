"""Jobs that are too new for a worker."""

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._flow import created, keyed
from taskora.testing.conformance._subject import TASK, Subject, completed, ids, job
from taskora.wire import NEWEST, Cancel, CountJobs, CountVersions, Enqueue, VersionCounts

PARKED_MS = 30_000


async def enqueue_as(subject: Subject, version: int, *job_ids: str, priority: int = 0, ttl_ms: int = 0) -> None:
    jobs = [job(job_id, priority=priority, ttl_ms=ttl_ms) for job_id in job_ids]
    await subject.run(Enqueue(task=TASK, version=version, max_attempts=3, jobs=jobs))


def newer(subject: Subject) -> list[str]:
    found: list[str] = subject.tricks.flow(TASK)["newer"]
    return found


class TestVersions(Cases):
    """Jobs that are too new for a worker."""

    async def test_a_newer_job_is_left_and_hides_nobody(self, subject: Subject) -> None:
        await enqueue_as(subject, 3, "new")
        await enqueue_as(subject, 2, "old")
        assert ids(await subject.exchange(slots=1, max_version=2)) == ["old"]
        assert await subject.listed(JobState.DELAYED) == ["new"]
        assert newer(subject) == ["new"]
        counts = await subject.run(CountJobs(task=TASK))
        assert (counts.delayed, counts.newer, counts.waiting) == (1, 1, 0)

    async def test_leaving_a_newer_job_makes_no_events_and_wakes_nobody_early(self, subject: Subject) -> None:
        await enqueue_as(subject, 3, "new")
        before = await subject.events()
        assert (await subject.exchange(slots=1, max_version=2)).due_ms == subject.start_ms + PARKED_MS
        assert await subject.events() == before
        assert subject.tricks.marker(TASK) == subject.start_ms + PARKED_MS

    async def test_a_newer_worker_takes_it_at_once(self, subject: Subject) -> None:
        await enqueue_as(subject, 3, "three", priority=1)
        await enqueue_as(subject, 4, "four")
        await subject.exchange(slots=2, max_version=2)
        assert ids(await subject.exchange("T3", slots=2, max_version=3)) == ["three"]
        assert newer(subject) == ["four"]
        assert ids(await subject.exchange("T4", slots=2, max_version=NEWEST)) == ["four"]
        assert newer(subject) == []

    async def test_without_a_newer_worker_it_is_looked_at_again_after_a_while(self, subject: Subject) -> None:
        await enqueue_as(subject, 3, "new")
        await subject.exchange(slots=1, max_version=2)
        subject.advance(PARKED_MS)
        await subject.exchange(slots=0, max_version=2)
        assert (await subject.listed(JobState.WAITING), newer(subject)) == (["new"], [])
        await subject.exchange(slots=1, max_version=2)
        assert (await subject.listed(JobState.DELAYED), newer(subject)) == (["new"], ["new"])

    async def test_the_attempt_is_not_spent(self, subject: Subject) -> None:
        await enqueue_as(subject, 3, "new")
        await subject.exchange(slots=1, max_version=2)
        assert (await subject.exchange("T3", slots=1)).claims[0].attempt == 1

    async def test_a_time_to_live_goes_on(self, subject: Subject) -> None:
        await enqueue_as(subject, 3, "new", ttl_ms=PARKED_MS)
        await subject.exchange(slots=1, max_version=2)
        subject.advance(PARKED_MS)
        await subject.exchange(slots=1, max_version=2)
        assert await subject.listed(JobState.EXPIRED) == ["new"]

    async def test_a_newer_job_can_be_cancelled(self, subject: Subject) -> None:
        await enqueue_as(subject, 3, "new")
        await subject.exchange(slots=1, max_version=2)
        await subject.run(Cancel(task=TASK, job_id="new"))
        assert newer(subject) == []
        assert ids(await subject.exchange("T3", slots=1)) == []

    async def test_a_newer_job_takes_no_slot_of_its_key(self, subject: Subject) -> None:
        await created(subject, keyed("a"))
        await subject.exchange(slots=1, max_version=0)
        assert newer(subject) == ["a"]
        assert subject.tricks.flow(TASK)["values"] == {}
        await created(subject, keyed("b"))
        assert ids(await subject.exchange("T2", slots=2)) == ["b"]

    async def test_a_freed_job_that_is_too_new_passes_its_chance_on(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"))
        await subject.exchange("T", slots=2)
        await created(subject, keyed("c"))
        await subject.exchange("T2", slots=1)
        reply = await subject.exchange("T3", slots=1, max_version=0, outcomes=[completed("a")])
        assert (reply.claims, newer(subject)) == ((), ["b", "c"])

    async def test_versions_are_counted_by_where_the_jobs_stand(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"), keyed("c"))
        await subject.exchange("T", slots=3)
        await subject.exchange("T2", outcomes=[completed("a")])
        await enqueue_as(subject, 2, "d", priority=1)
        await enqueue_as(subject, 2, "e")
        await enqueue_as(subject, 5, "later")
        assert await subject.run(CountVersions(task=TASK)) == VersionCounts(
            waiting={1: 2, 2: 2, 5: 1}, active={}, delayed={}
        )
        await subject.exchange("T3", slots=9, max_version=2)
        assert await subject.run(CountVersions(task=TASK)) == VersionCounts(
            waiting={1: 1}, active={1: 1, 2: 2}, delayed={5: 1}
        )

    async def test_without_jobs_there_are_no_versions(self, subject: Subject) -> None:
        assert await subject.run(CountVersions(task=TASK)) == VersionCounts(waiting={}, active={}, delayed={})
