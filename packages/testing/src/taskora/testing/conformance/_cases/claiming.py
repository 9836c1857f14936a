"""Who is handed out, in which order, and what a repeated claim gets."""

import pytest

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import TASK, Subject, completed, ids, job, released
from taskora.wire import Claim, RecoverStalled, Settlement


class TestClaiming(Cases):
    """Who is handed out, in which order, and what a repeated claim gets."""

    async def test_a_claim_hands_out_everything_that_is_needed_to_run(self, subject: Subject) -> None:
        await subject.enqueue("a")
        subject.advance(7)
        reply = await subject.exchange("T1", slots=1)
        assert reply.claims == (
            Claim(job_id="a", token="T1", data=b'"a"', version=1, attempt=1, timestamp_ms=subject.start_ms),
        )
        assert (reply.now_ms, reply.due_ms, reply.settlements) == (subject.start_ms + 7, None, ())

    async def test_a_claimed_job_is_active_and_fenced(self, subject: Subject) -> None:
        await subject.enqueue(job("a", ttl_ms=1000))
        subject.advance(7)
        await subject.exchange("T1", slots=1)
        record = await subject.record("a")
        assert (record.status.state, record.status.processed_on_ms) == (JobState.ACTIVE, subject.start_ms + 7)
        assert record.expire_at_ms is None  # the deadline was for the start
        assert subject.lease("a") == "T1"
        assert await subject.events() == ["waiting a", "active a attempt=1"]

    async def test_jobs_leave_in_the_order_in_which_they_came(self, subject: Subject) -> None:
        for job_id in ("c", "a", "b"):
            await subject.enqueue(job_id)
        assert ids(await subject.exchange(slots=2)) == ["c", "a"]
        assert ids(await subject.exchange(slots=2)) == ["b"]

    async def test_priorities_are_strict_and_no_priority_comes_last(self, subject: Subject) -> None:
        await subject.enqueue("none-1", job("low", priority=1), job("high-1", priority=9), job("high-2", priority=9))
        subject.advance(60_000)
        await subject.enqueue("none-2", job("high-3", priority=9))
        order = ["high-1", "high-2", "high-3", "low", "none-1", "none-2"]
        assert await subject.listed(JobState.WAITING) == order
        assert ids(await subject.exchange(slots=10)) == order

    async def test_equal_priority_and_age_are_ordered_by_id(self, subject: Subject) -> None:
        await subject.enqueue(*(job(job_id, priority=3) for job_id in ("b", "c", "a")))
        assert ids(await subject.exchange(slots=3)) == ["a", "b", "c"]

    async def test_no_more_is_claimed_than_there_are_slots(self, subject: Subject) -> None:
        await subject.enqueue(*"abc")
        assert ids(await subject.exchange(slots=0)) == []
        assert ids(await subject.exchange(slots=2)) == ["a", "b"]
        assert await subject.listed(JobState.ACTIVE) == ["a", "b"]

    async def test_without_work_nothing_is_claimed(self, subject: Subject) -> None:
        reply = await subject.exchange(slots=5)
        assert (reply.claims, reply.due_ms) == ((), None)

    async def test_the_reply_says_when_the_next_job_is_due(self, subject: Subject) -> None:
        await subject.enqueue(job("later", delay_ms=900), job("sooner", delay_ms=300))
        assert (await subject.exchange(slots=1)).due_ms == subject.start_ms + 300

    async def test_a_repeated_request_gets_the_claims_it_had_already_made(self, subject: Subject) -> None:
        await subject.enqueue(*"abc")
        first = await subject.exchange("T1", slots=2)
        again = await subject.exchange("T1", slots=2, resend=True)
        assert again.claims == first.claims
        assert await subject.listed(JobState.WAITING) == ["c"]

    async def test_a_repeated_request_renews_the_leases_of_the_claims_it_had_already_made(
        self, subject: Subject
    ) -> None:
        await subject.enqueue("a")
        await subject.exchange("T1", slots=1, lease_ms=60_000)
        await subject.run(RecoverStalled(task=TASK, max_count=1))
        subject.advance(50_000)
        assert ids(await subject.exchange("T1", slots=1, lease_ms=60_000, resend=True)) == ["a"]
        assert subject.tricks.stall_candidates(TASK) == set()
        subject.advance(50_000)
        assert subject.lease("a") == "T1"
        assert (await subject.settle(completed("a", token="T1"))).settlements == (Settlement.SETTLED,)

    async def test_a_repeated_request_names_a_job_that_was_deleted_meanwhile(self, subject: Subject) -> None:
        await subject.claim("a", token="T1")
        subject.tricks.lose_record(TASK, "a")
        [claim] = (await subject.exchange("T1", slots=1, resend=True)).claims
        assert (claim.job_id, claim.data, claim.version) == ("a", b"", 0)

    async def test_a_repeated_request_fills_the_slots_that_were_empty_before(self, subject: Subject) -> None:
        await subject.enqueue("a")
        await subject.exchange("T1", slots=3)
        await subject.enqueue("b")
        assert ids(await subject.exchange("T1", slots=3, resend=True)) == ["a", "b"]

    async def test_a_repeated_request_that_was_never_executed_claims_as_usual(self, subject: Subject) -> None:
        await subject.claim("a", token="other")
        await subject.enqueue("b")
        assert ids(await subject.exchange("T1", slots=2, resend=True)) == ["b"]

    @pytest.mark.parametrize("priority", [0, 4])
    async def test_an_id_without_a_record_is_passed_over(self, subject: Subject, priority: int) -> None:
        await subject.enqueue(job("a", priority=priority), "b")
        subject.tricks.lose_record(TASK, "a")
        assert ids(await subject.exchange(slots=1)) == ["b"]
        assert await subject.events() == [f"waiting {job_id}" for job_id in "ab"] + ["active b attempt=1"]

    async def test_unreadable_numbers_neither_stop_a_claim_nor_lose_its_neighbours(self, subject: Subject) -> None:
        await subject.enqueue("a", "odd", "b")
        subject.tricks.damage_record(TASK, "odd", {"_v": b"x", "attempt": b"", "ts": b"nope"})
        reply = await subject.exchange("T1", slots=3)
        assert ids(reply) == ["a", "odd", "b"]
        assert reply.claims[1] == Claim(job_id="odd", token="T1", data=b'"odd"', version=0, attempt=0, timestamp_ms=0)

    async def test_a_due_id_without_a_record_is_dropped(self, subject: Subject) -> None:
        await subject.enqueue(job("a", delay_ms=5))
        subject.tricks.lose_record(TASK, "a")
        subject.advance(5)
        reply = await subject.exchange(slots=1)
        assert (reply.claims, reply.due_ms) == ((), None)
        assert await subject.state("a") is None

    async def test_a_job_given_back_can_be_claimed_by_the_same_call(self, subject: Subject) -> None:
        await subject.claim("a", token="T1")
        reply = await subject.exchange("T2", slots=1, outcomes=[released("a", token="T1")])
        assert ids(reply) == ["a"]
        assert subject.lease("a") == "T2"
