"""New lives for jobs that failed for good."""

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import LEASE_MS, TASK, Subject, failed, ids, job, retrying
from taskora.wire import Cancel, ExtendLeases, Lease, LeaseState, RecoverStalled, RetryDead, Revived


class TestDeadLetters(Cases):
    """New lives for jobs that failed for good."""

    async def test_a_failed_job_gets_a_new_life(self, subject: Subject) -> None:
        await subject.enqueue("a")
        await subject.exchange(slots=1)
        await subject.settle(retrying("a"))
        await subject.exchange(slots=1)
        await subject.settle(failed("a"))
        subject.advance(70)
        assert await subject.run(RetryDead(task=TASK, job_ids=("a",))) == Revived(job_ids=("a",))
        record = await subject.record("a")
        assert (record.status.state, record.status.attempt, record.timestamp_ms) == (
            JobState.WAITING,
            1,
            subject.start_ms + 70,
        )
        assert (record.status.error, record.status.finished_on_ms) == (None, None)
        assert await subject.listed(JobState.FAILED) == []
        assert (await subject.events())[-1] == "waiting a"
        assert ids(await subject.exchange(slots=1)) == ["a"]

    async def test_an_old_request_to_stop_does_not_concern_the_new_life(self, subject: Subject) -> None:
        await subject.claim("a")
        await subject.run(Cancel(task=TASK, job_id="a", reason="old"))
        await subject.settle(failed("a"))
        await subject.run(RetryDead(task=TASK, job_ids=("a",)))
        assert {"cancelledAt", "cancelReason"}.isdisjoint((await subject.record("a")).fields)
        await subject.exchange("T2", slots=1)
        extend = ExtendLeases(task=TASK, lease_ms=LEASE_MS, leases=[Lease(job_id="a", token="T2")])
        assert await subject.run(extend) == (LeaseState.HELD,)

    async def test_old_stalls_do_not_count_in_the_new_life(self, subject: Subject) -> None:
        sweep = RecoverStalled(task=TASK, max_count=0)
        await subject.claim("a")
        await subject.run(sweep)
        subject.tricks.lose_lease(TASK, "a")
        assert (await subject.run(sweep)).failed == ("a",)
        await subject.run(RetryDead(task=TASK, job_ids=("a",)))
        assert (await subject.record("a")).stalled_count == 0

    async def test_without_an_id_the_oldest_failures_wait_again(self, subject: Subject) -> None:
        for job_id in ("c", "a", "b"):
            await subject.fail(job_id)
            subject.advance(1)
        assert await subject.run(RetryDead(task=TASK, limit=2)) == Revived(job_ids=("c", "a"))
        assert await subject.listed(JobState.FAILED) == ["b"]
        assert await subject.listed(JobState.WAITING) == ["c", "a"]
        assert await subject.run(RetryDead(task=TASK)) == Revived(job_ids=("b",))

    async def test_a_limit_of_zero_revives_nothing(self, subject: Subject) -> None:
        await subject.fail("a")
        assert await subject.run(RetryDead(task=TASK, limit=0)) == Revived()
        assert await subject.listed(JobState.FAILED) == ["a"]

    async def test_only_failed_jobs_can_be_revived(self, subject: Subject) -> None:
        await subject.enqueue("a")
        assert await subject.run(RetryDead(task=TASK, job_ids=("a",))) == Revived()
        assert await subject.run(RetryDead(task=TASK, job_ids=("unknown",))) == Revived()
        assert await subject.listed(JobState.WAITING) == ["a"]

    async def test_a_revived_job_keeps_its_priority_and_counts_as_new(self, subject: Subject) -> None:
        await subject.enqueue(job("a", priority=5))
        await subject.exchange(slots=1)
        await subject.settle(failed("a"))
        await subject.enqueue(job("b", priority=5), "c")
        subject.advance(10)
        await subject.run(RetryDead(task=TASK, job_ids=("a",)))
        assert ids(await subject.exchange(slots=3)) == ["b", "a", "c"]
