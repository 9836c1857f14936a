"""Delayed jobs that become due, and jobs that expire."""

import pytest

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import TASK, Subject, declined, ids, job, released, retrying
from taskora.wire import ReadStatuses


class TestPromotion(Cases):
    """Delayed jobs that become due, and jobs that expire."""

    async def test_due_jobs_leave_in_the_order_in_which_they_became_due(self, subject: Subject) -> None:
        await subject.enqueue(job("third", delay_ms=30), job("first", delay_ms=10), job("second", delay_ms=20))
        subject.advance(30)
        assert ids(await subject.exchange(slots=3)) == ["first", "second", "third"]

    async def test_a_job_is_not_early(self, subject: Subject) -> None:
        await subject.enqueue(job("a", delay_ms=10))
        subject.advance(9)
        assert ids(await subject.exchange(slots=1)) == []
        subject.advance(1)
        assert ids(await subject.exchange(slots=1)) == ["a"]

    async def test_due_jobs_are_promoted_even_when_no_slot_is_free(self, subject: Subject) -> None:
        await subject.enqueue(job("a", delay_ms=10))
        subject.advance(10)
        await subject.exchange(slots=0)
        assert await subject.state("a") is JobState.WAITING
        assert await subject.events() == ["delayed a", "promoted a"]

    async def test_a_due_job_keeps_its_priority_and_its_age(self, subject: Subject) -> None:
        await subject.enqueue(job("old", delay_ms=50, priority=2), job("plain", delay_ms=1))
        subject.advance(50)
        await subject.enqueue(job("young", priority=2))
        subject.advance(10)
        assert ids(await subject.exchange(slots=3)) == ["old", "young", "plain"]

    async def test_one_call_promotes_a_hundred_jobs_at_most(self, subject: Subject) -> None:
        await subject.enqueue(*(job(f"j{number:03}", delay_ms=1 + number) for number in range(130)))
        subject.advance(200)
        reply = await subject.exchange(slots=0)
        assert reply.due_ms == subject.start_ms + 101
        assert len(await subject.listed(JobState.WAITING, limit=200)) == 100
        await subject.exchange(slots=0)
        assert len(await subject.listed(JobState.WAITING, limit=200)) == 130

    async def test_a_retry_that_is_due_at_once_runs_again_in_the_same_call(self, subject: Subject) -> None:
        await subject.claim("a", token="T1")
        reply = await subject.exchange("T2", slots=1, outcomes=[retrying("a", token="T1")])
        assert [(claim.job_id, claim.attempt) for claim in reply.claims] == [("a", 2)]
        assert await subject.events() == [
            "waiting a",
            "active a attempt=1",
            f"retrying a attempt=2 nextAttemptAt={subject.start_ms} error=boom",
            "promoted a",
            "active a attempt=2",
        ]

    @pytest.mark.parametrize("delay_ms", [0, 20])
    async def test_a_job_that_did_not_start_in_time_expires(self, subject: Subject, delay_ms: int) -> None:
        await subject.enqueue(job("a", delay_ms=delay_ms, ttl_ms=20))
        subject.advance(20)
        assert ids(await subject.exchange(slots=1)) == []
        record = await subject.record("a")
        assert (record.status.state, record.status.finished_on_ms) == (JobState.EXPIRED, subject.start_ms + 20)
        assert await subject.listed(JobState.EXPIRED) == ["a"]
        assert (await subject.events())[1:] == ["expired a"]

    async def test_of_a_discarded_job_it_is_told_for_ten_minutes_that_it_expired(self, subject: Subject) -> None:
        await subject.enqueue(job("a", ttl_ms=20), job("b"))
        subject.advance(25)
        await subject.exchange(slots=2, on_expire="discard")
        discarded_ms = subject.start_ms + 25
        subject.advance(600_000 - 1)
        (gone, started) = await subject.run(ReadStatuses(task=TASK, job_ids=["a", "b"]))
        assert gone is not None
        assert started is not None
        assert (gone.state, gone.finished_on_ms, started.state) == (JobState.EXPIRED, discarded_ms, JobState.ACTIVE)
        subject.advance(1)
        assert (await subject.run(ReadStatuses(task=TASK, job_ids=["a"]))) == (None,)

    @pytest.mark.parametrize("delay_ms", [0, 10])
    async def test_the_worker_may_limit_the_wait_of_jobs_that_have_no_time_to_live(
        self, subject: Subject, delay_ms: int
    ) -> None:
        await subject.enqueue(job("own", delay_ms=delay_ms, ttl_ms=1000), job("none", delay_ms=delay_ms))
        subject.advance(19)
        assert (await subject.exchange("T", slots=0, ttl_ms=20)).claims == ()
        subject.advance(1)
        assert ids(await subject.exchange("T", slots=2, ttl_ms=20)) == ["own"]
        assert await subject.listed(JobState.EXPIRED) == ["none"]

    async def test_the_limit_of_the_worker_ends_with_the_first_start(self, subject: Subject) -> None:
        await subject.claim("a")
        subject.advance(25)
        await subject.settle(retrying("a"))
        assert ids(await subject.exchange("T2", slots=1, ttl_ms=20)) == ["a"]
        await subject.settle(released("a", token="T2"))
        assert ids(await subject.exchange("T3", slots=1, ttl_ms=20)) == ["a"]

    @pytest.mark.parametrize("delay_ms", [0, 20])
    async def test_an_expired_job_is_deleted_if_the_lane_wants_so(self, subject: Subject, delay_ms: int) -> None:
        await subject.enqueue(job("a", delay_ms=delay_ms, ttl_ms=20))
        subject.advance(25)
        assert ids(await subject.exchange(slots=1, on_expire="discard")) == []
        assert await subject.state("a") is None
        assert await subject.listed(JobState.EXPIRED) == []
        assert (await subject.events())[1:] == ["expired a"]

    async def test_a_job_starts_in_time_until_the_last_millisecond(self, subject: Subject) -> None:
        await subject.enqueue(job("a", ttl_ms=20))
        subject.advance(19)
        assert ids(await subject.exchange(slots=1)) == ["a"]

    async def test_a_job_that_started_once_does_not_expire_before_its_retry(self, subject: Subject) -> None:
        await subject.enqueue(job("a", ttl_ms=20))
        await subject.exchange(slots=1)
        await subject.settle(retrying("a", delay_ms=100))
        subject.advance(100)
        assert ids(await subject.exchange(slots=1)) == ["a"]

    async def test_a_claim_passes_over_expired_jobs(self, subject: Subject) -> None:
        await subject.enqueue(job("a", ttl_ms=5), job("b", ttl_ms=5), "c")
        subject.advance(5)
        assert ids(await subject.exchange(slots=2)) == ["c"]
        assert await subject.listed(JobState.EXPIRED) == ["b", "a"]

    async def test_a_claim_passes_over_a_bounded_number_of_expired_jobs(self, subject: Subject) -> None:
        await subject.enqueue(*(job(f"j{number:04}", ttl_ms=5) for number in range(1050)), "live")
        subject.advance(5)
        assert ids(await subject.exchange(slots=2)) == []
        assert len(await subject.listed(JobState.EXPIRED, limit=2000)) == 1002
        assert ids(await subject.exchange(slots=2)) == ["live"]

    @pytest.mark.parametrize("delay_ms", [0, 500])
    async def test_a_job_that_was_declined_still_expires(self, subject: Subject, delay_ms: int) -> None:
        await subject.enqueue(job("a", ttl_ms=100))
        await subject.exchange("T1", slots=1)
        await subject.settle(declined("a", token="T1", delay_ms=delay_ms))
        subject.advance(500)
        assert ids(await subject.exchange("T2", slots=1)) == []
        assert await subject.state("a") is JobState.EXPIRED

    async def test_a_job_that_was_declined_expires_by_the_time_to_live_of_the_worker(self, subject: Subject) -> None:
        await subject.enqueue("a")
        await subject.exchange("T1", slots=1, ttl_ms=100)
        await subject.settle(declined("a", token="T1"))
        subject.advance(100)
        assert ids(await subject.exchange("T2", slots=1, ttl_ms=100)) == []
        assert await subject.state("a") is JobState.EXPIRED

    async def test_a_job_that_was_started_and_then_declined_does_not_expire(self, subject: Subject) -> None:
        await subject.enqueue(job("a", ttl_ms=100))
        await subject.exchange("T1", slots=1)
        await subject.exchange("T2", slots=1, outcomes=[retrying("a", token="T1")])
        await subject.settle(declined("a", token="T2"))
        subject.advance(500)
        assert ids(await subject.exchange("T3", slots=1, ttl_ms=100)) == ["a"]
