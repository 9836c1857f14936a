"""New jobs, and dispatches that are sent again."""

import pytest

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import TASK, Subject, ids, job
from taskora.wire import AlikeJobs, Enqueue, NewJob


class TestEnqueue(Cases):
    """New jobs, and dispatches that are sent again."""

    async def test_a_new_job_waits_with_all_its_fields(self, subject: Subject) -> None:
        enqueue = Enqueue(task=TASK, version=7, max_attempts=3, jobs=[NewJob(job_id="a", data=b'{"x":1}')])
        assert await subject.run(enqueue) == (True,)
        assert (await subject.record("a")).fields == {
            "ts": str(subject.start_ms).encode(),
            "_v": b"7",
            "attempt": b"1",
            "maxAttempts": b"3",
            "state": b"waiting",
            "priority": b"0",
            "data": b'{"x":1}',
        }
        assert await subject.events() == ["waiting a"]

    async def test_a_delayed_job_keeps_its_delay_and_its_deadline(self, subject: Subject) -> None:
        await subject.enqueue(job("a", delay_ms=5000, priority=2, ttl_ms=9000))
        fields = (await subject.record("a")).fields
        assert (fields["state"], fields["delay"], fields["priority"]) == (b"delayed", b"5000", b"2")
        assert fields["expireAt"] == str(subject.start_ms + 9000).encode()
        assert await subject.events() == ["delayed a"]

    async def test_an_id_that_is_taken_is_left_alone(self, subject: Subject) -> None:
        await subject.enqueue("a")
        before = await subject.record("a")
        subject.advance(10)
        assert await subject.enqueue(job("a", delay_ms=50), "b") == (False, True)
        assert await subject.record("a") == before
        assert await subject.events() == ["waiting a", "waiting b"]

    async def test_an_id_that_comes_twice_in_one_batch_is_created_once(self, subject: Subject) -> None:
        assert await subject.enqueue("a", "a", "b") == (True, False, True)
        assert await subject.listed(JobState.WAITING) == ["a", "b"]

    @pytest.mark.parametrize("ttl_ms", [0, 9000])
    async def test_jobs_that_are_alike_are_created_like_any_others(self, subject: Subject, ttl_ms: int) -> None:
        alike = AlikeJobs(["a", "b", "c"], [b"1", b'"two"', b"1"], ttl_ms=ttl_ms)
        others = [NewJob(job_id=f"{like.job_id}2", data=like.data, ttl_ms=ttl_ms) for like in alike]
        subject.stop_time()
        for jobs in (alike, others):
            enqueue = Enqueue(task=TASK, version=7, max_attempts=3, jobs=jobs)
            assert await subject.run(enqueue) == (True, True, True)
            assert await subject.run(enqueue) == (False, False, False)
            assert await subject.run(enqueue.again()) == (True, True, True)
        for like, other in zip(alike, others, strict=True):
            assert (await subject.record(like.job_id)).fields == (await subject.record(other.job_id)).fields
        assert await subject.listed(JobState.WAITING) == ["a", "b", "c", "a2", "b2", "c2"]

    async def test_a_repeated_request_created_the_job_if_the_payload_is_the_same(self, subject: Subject) -> None:
        await subject.enqueue("a", "b")
        other = NewJob(job_id="b", data=b"other")
        assert await subject.enqueue("a", other, "c", resend=True) == (True, False, True)
        assert await subject.listed(JobState.WAITING) == ["a", "b", "c"]
        assert await subject.events() == ["waiting a", "waiting b", "waiting c"]

    async def test_a_repeated_request_does_not_revive_a_job_that_has_ended(self, subject: Subject) -> None:
        await subject.fail("a")
        assert await subject.enqueue("a", resend=True) == (True,)
        assert await subject.state("a") is JobState.FAILED

    async def test_a_batch_keeps_its_order(self, subject: Subject) -> None:
        subject.stop_time()
        await subject.enqueue("c", "a", job("d", delay_ms=1), "b")
        assert await subject.events() == ["waiting c", "waiting a", "delayed d", "waiting b"]
        assert ids(await subject.exchange(slots=10)) == ["c", "a", "b"]

    async def test_an_empty_batch_creates_nothing(self, subject: Subject) -> None:
        assert await subject.enqueue() == ()
        assert await subject.events() == []

    async def test_a_negative_priority_counts_as_none(self, subject: Subject) -> None:
        await subject.enqueue(job("a", priority=-3), "b", job("c", priority=1))
        assert ids(await subject.exchange(slots=3)) == ["c", "a", "b"]

    async def test_tasks_do_not_share_ids(self, subject: Subject) -> None:
        await subject.enqueue("a")
        other = Enqueue(task="other", version=1, max_attempts=1, jobs=[job("a")])
        assert await subject.run(other) == (True,)
        assert ids(await subject.exchange(slots=5)) == ["a"]
