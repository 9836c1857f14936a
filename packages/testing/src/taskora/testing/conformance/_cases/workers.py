"""Who works on a task, and why its jobs do not run."""

from dataclasses import replace

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._flow import created, keyed
from taskora.testing.conformance._subject import TASK, Subject, completed, job
from taskora.wire import AnnounceWorker, CountJobs, ListJobs, ParkedReason, ReadJob, ReadWorkers, WorkerRecord

WORKER = WorkerRecord(worker_id="w1", task=TASK, host="box", pid=7, version=3, concurrency=10, started_ms=5)


async def reason(subject: Subject, job_id: str) -> ParkedReason | None:
    """Why a job is parked, told alike by its record and by its listing."""
    record = await subject.record(job_id)
    listed = await subject.run(ListJobs(task=TASK, state=record.status.state, limit=100))
    assert [other.parked_reason for other in listed.records if other.job_id == job_id] == [record.parked_reason]
    return record.parked_reason


class TestWorkers(Cases):
    """Who works on a task, and why its jobs do not run."""

    async def test_workers_are_there_until_they_leave_or_are_not_heard_of(self, subject: Subject) -> None:
        other = replace(WORKER, worker_id="w2", pid=8)
        assert await subject.run(AnnounceWorker(worker=WORKER)) == 1
        subject.advance(1000)
        assert await subject.run(AnnounceWorker(worker=other)) == 2
        seen = (replace(WORKER, beat_ms=subject.start_ms), replace(other, beat_ms=subject.start_ms + 1000))
        assert await subject.run(ReadWorkers(task=TASK)) == seen
        subject.advance(29_001)
        assert await subject.run(ReadWorkers(task=TASK)) == seen[1:]
        assert await subject.run(AnnounceWorker(worker=other, leaves=True)) == 0
        assert await subject.run(ReadWorkers(task=TASK)) == ()
        assert await subject.events() == []

    async def test_ready_and_due_jobs_of_a_task_that_nobody_works_on_are_unserved(self, subject: Subject) -> None:
        await subject.enqueue(
            job("ready"), job("first", priority=1), job("due", delay_ms=10), job("later", delay_ms=99)
        )
        subject.advance(10)
        counts = await subject.run(CountJobs(task=TASK))
        assert (counts.unserved, counts.workers, counts.parked, counts.newer) == (3, 0, 0, 0)
        found = [await reason(subject, job_id) for job_id in ("ready", "first", "due", "later")]
        assert found == [ParkedReason.UNSERVED] * 3 + [None]

    async def test_where_a_worker_is_there_no_job_is_unserved(self, subject: Subject) -> None:
        await subject.enqueue("a")
        await subject.run(AnnounceWorker(worker=WORKER))
        counts = await subject.run(CountJobs(task=TASK))
        assert (counts.unserved, counts.workers, await reason(subject, "a")) == (0, 1, None)
        subject.advance(30_001)
        counts = await subject.run(CountJobs(task=TASK))
        assert (counts.unserved, counts.workers, await reason(subject, "a")) == (1, 0, ParkedReason.UNSERVED)

    async def test_where_a_job_runs_somebody_works_who_did_not_say_so(self, subject: Subject) -> None:
        await subject.claim("running")
        await subject.enqueue("next")
        assert (await subject.run(CountJobs(task=TASK))).unserved == 0
        assert await reason(subject, "next") is None
        subject.tricks.lose_lease(TASK, "running")
        assert (await subject.run(CountJobs(task=TASK))).unserved == 1
        assert await reason(subject, "next") is ParkedReason.UNSERVED
        assert await reason(subject, "running") is None

    async def test_a_job_that_is_too_new_says_so_and_is_not_counted_as_unserved_too(self, subject: Subject) -> None:
        await subject.enqueue("new")
        await subject.exchange("T", slots=1, max_version=0)
        await subject.enqueue("ready")
        for _ in range(2):  # also when it is due, and nobody has looked
            counts = await subject.run(CountJobs(task=TASK))
            assert (counts.newer, counts.parked, counts.unserved) == (1, 0, 1)
            assert await reason(subject, "new") is ParkedReason.NEWER
            assert await reason(subject, "ready") is ParkedReason.UNSERVED
            subject.advance(30_000)

    async def test_a_job_of_a_saturated_key_says_so_and_an_ended_one_nothing(self, subject: Subject) -> None:
        await created(subject, keyed("runs"), keyed("blocked"))
        await subject.exchange("T", slots=2)
        counts = await subject.run(CountJobs(task=TASK))
        assert (counts.parked, counts.unserved) == (1, 0)
        assert await reason(subject, "blocked") is ParkedReason.SATURATED
        await subject.settle(completed("runs"))
        assert await reason(subject, "runs") is None
        assert await subject.state("runs") is JobState.COMPLETED
        assert await subject.run(ReadJob(task=TASK, job_id="never")) is None
