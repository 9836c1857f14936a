"""How attempts end, and who may say so."""

import pytest

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import (
    TASK,
    Subject,
    cancelled,
    completed,
    declined,
    failed,
    ids,
    job,
    released,
    retrying,
)
from taskora.wire import Cancel, CountJobs, Outcome, Settlement

EACH_OUTCOME = pytest.mark.parametrize(
    "outcome",
    [
        completed("a"),
        retrying("a"),
        failed("a"),
        cancelled("a"),
        released("a"),
        released("a", delay_ms=9),
        declined("a"),
    ],
    ids=lambda outcome: f"{outcome.kind.value}-{outcome.delay_ms}",
)


class TestSettling(Cases):
    """How attempts end, and who may say so."""

    async def test_a_completed_job_keeps_its_result(self, subject: Subject) -> None:
        await subject.claim("a")
        subject.advance(30)
        reply = await subject.settle(completed("a", b'{"ok":true}'))
        assert reply.settlements == (Settlement.SETTLED,)
        status = (await subject.record("a")).status
        assert (status.state, status.result, status.finished_on_ms) == (
            JobState.COMPLETED,
            b'{"ok":true}',
            subject.start_ms + 30,
        )
        assert await subject.listed(JobState.COMPLETED) == ["a"]
        assert (await subject.events())[2:] == ["completed a attempt=1"]

    async def test_a_declined_job_returns_to_where_it_was_claimed_from(self, subject: Subject) -> None:
        await subject.enqueue(job("a"), job("b"), job("c"))
        await subject.exchange(slots=2, token="T")
        await subject.settle(declined("b"), declined("a"))
        assert await subject.listed(JobState.WAITING) == ["a", "b", "c"]
        assert [claim.job_id for claim in (await subject.exchange(slots=3)).claims] == ["a", "b", "c"]

    async def test_a_declined_job_with_a_priority_returns_to_where_it_was(self, subject: Subject) -> None:
        await subject.enqueue(job("high", priority=9))
        subject.advance(5)
        await subject.enqueue(job("first", priority=3))
        subject.advance(5)
        await subject.enqueue(job("second", priority=3), job("none"))
        await subject.exchange(slots=2, token="T")
        await subject.settle(declined("first"), declined("high"))
        assert await subject.listed(JobState.WAITING) == ["high", "first", "second", "none"]

    async def test_a_released_job_goes_behind_all_others(self, subject: Subject) -> None:
        await subject.enqueue(job("a"), job("b"))
        await subject.exchange(slots=1, token="T")
        await subject.settle(released("a"))
        assert await subject.listed(JobState.WAITING) == ["b", "a"]

    async def test_an_empty_result_is_a_result(self, subject: Subject) -> None:
        await subject.claim("a")
        await subject.settle(completed("a", b""))
        assert (await subject.record("a")).status.result == b""

    async def test_a_failed_job_is_in_the_dead_letter_queue(self, subject: Subject) -> None:
        await subject.claim("a")
        subject.advance(30)
        await subject.settle(failed("a"))
        status = (await subject.record("a")).status
        assert (status.state, status.error, status.attempt) == (JobState.FAILED, "boom", 1)
        assert status.finished_on_ms == subject.start_ms + 30
        assert await subject.listed(JobState.FAILED) == ["a"]
        assert (await subject.events())[2:] == ["failed a attempt=1 error=boom"]

    async def test_a_retry_waits_for_its_time_as_the_next_attempt(self, subject: Subject) -> None:
        await subject.claim("a")
        reply = await subject.settle(retrying("a", delay_ms=500))
        assert reply.due_ms == subject.start_ms + 500
        status = (await subject.record("a")).status
        assert (status.state, status.attempt, status.error) == (JobState.RETRYING, 2, "boom")
        assert status.finished_on_ms is None
        assert (await subject.events())[2:] == [
            f"retrying a attempt=2 nextAttemptAt={subject.start_ms + 500} error=boom"
        ]

    async def test_a_job_given_back_goes_behind_the_others_and_keeps_its_attempt(self, subject: Subject) -> None:
        await subject.claim("a")
        await subject.enqueue("b")
        await subject.settle(released("a"))
        reply = await subject.exchange(slots=2)
        assert [(claim.job_id, claim.attempt) for claim in reply.claims] == [("b", 1), ("a", 1)]
        assert (await subject.events())[3:] == ["waiting a", "active b attempt=1", "active a attempt=1"]

    async def test_a_prioritized_job_given_back_keeps_its_place(self, subject: Subject) -> None:
        await subject.enqueue(job("a", priority=5))
        await subject.exchange(slots=1)
        subject.advance(10)
        await subject.enqueue(job("b", priority=5))
        await subject.settle(released("a"))
        assert ids(await subject.exchange(slots=2)) == ["a", "b"]

    async def test_a_job_given_back_for_later_is_parked_without_an_event(self, subject: Subject) -> None:
        await subject.claim("a")
        reply = await subject.settle(released("a", delay_ms=500))
        assert reply.due_ms == subject.start_ms + 500
        assert await subject.listed(JobState.DELAYED) == ["a"]
        assert (await subject.events())[2:] == []

    async def test_a_cancelled_attempt_tells_the_reason(self, subject: Subject) -> None:
        await subject.claim("a", "b")
        await subject.run(Cancel(task=TASK, job_id="a", reason="enough"))
        await subject.settle(cancelled("a"), cancelled("b"))
        assert await subject.listed(JobState.CANCELLED) == ["b", "a"]
        assert (await subject.record("a")).status.cancel_reason == "enough"
        assert (await subject.events())[4:] == ["cancelled a reason=enough", "cancelled b reason="]

    @EACH_OUTCOME
    async def test_a_settled_job_has_no_lease(self, subject: Subject, outcome: Outcome) -> None:
        await subject.claim("a")
        assert (await subject.settle(outcome)).settlements == (Settlement.SETTLED,)
        assert subject.lease("a") is None
        assert await subject.listed(JobState.ACTIVE) == []

    @EACH_OUTCOME
    async def test_an_outcome_with_a_foreign_token_changes_nothing(self, subject: Subject, outcome: Outcome) -> None:
        await subject.claim("a", token="somebody else")
        before = (await subject.record("a"), await subject.events())
        assert (await subject.settle(outcome)).settlements == (Settlement.LOST,)
        assert (await subject.record("a"), await subject.events()) == before
        assert subject.lease("a") == "somebody else"

    @EACH_OUTCOME
    async def test_an_outcome_after_the_end_of_the_lease_changes_nothing(
        self, subject: Subject, outcome: Outcome
    ) -> None:
        await subject.claim("a")
        subject.tricks.lose_lease(TASK, "a")
        assert (await subject.settle(outcome)).settlements == (Settlement.LOST,)
        assert await subject.state("a") is JobState.ACTIVE

    async def test_an_outcome_of_a_job_that_never_was_is_lost(self, subject: Subject) -> None:
        assert (await subject.settle(completed("a"))).settlements == (Settlement.LOST,)
        assert await subject.state("a") is None

    @EACH_OUTCOME
    async def test_a_repeated_request_says_so_for_what_it_had_already_settled(
        self, subject: Subject, outcome: Outcome
    ) -> None:
        await subject.claim("a", token="T")
        await subject.exchange("T2", outcomes=[outcome])
        before = await subject.events()
        again = await subject.exchange("T2", outcomes=[outcome], resend=True)
        assert again.settlements == (Settlement.REPEATED,)
        assert await subject.events() == before

    async def test_a_repeated_request_settles_what_it_had_not(self, subject: Subject) -> None:
        await subject.claim("a")
        again = await subject.exchange("T2", outcomes=[completed("a")], resend=True)
        assert again.settlements == (Settlement.SETTLED,)

    @pytest.mark.parametrize("outcome", [retrying("a"), released("a"), released("a", delay_ms=9), declined("a")])
    async def test_a_job_that_shall_stop_does_not_run_again(self, subject: Subject, outcome: Outcome) -> None:
        await subject.claim("a")
        await subject.run(Cancel(task=TASK, job_id="a"))
        assert (await subject.settle(outcome)).settlements == (Settlement.CANCEL_REQUESTED,)
        assert await subject.state("a") is JobState.ACTIVE
        assert subject.lease("a") == "T"
        assert (await subject.settle(cancelled("a"))).settlements == (Settlement.SETTLED,)

    @pytest.mark.parametrize(
        ("outcome", "state"), [(completed("a"), JobState.COMPLETED), (failed("a"), JobState.FAILED)]
    )
    async def test_what_was_achieved_stands_although_the_job_should_stop(
        self, subject: Subject, outcome: Outcome, state: JobState
    ) -> None:
        await subject.claim("a")
        await subject.run(Cancel(task=TASK, job_id="a"))
        assert (await subject.settle(outcome)).settlements == (Settlement.SETTLED,)
        assert await subject.state("a") is state

    async def test_each_outcome_of_a_batch_has_its_own_reply(self, subject: Subject) -> None:
        await subject.claim("a", "b", "c")
        subject.tricks.lose_lease(TASK, "b")
        reply = await subject.settle(completed("a"), completed("b"), failed("c"))
        assert reply.settlements == (Settlement.SETTLED, Settlement.LOST, Settlement.SETTLED)
        counts = await subject.run(CountJobs(task=TASK))
        assert (counts.active, counts.completed, counts.failed) == (1, 1, 1)

    async def test_only_the_first_of_two_outcomes_of_one_attempt_counts(self, subject: Subject) -> None:
        await subject.claim("a")
        reply = await subject.settle(completed("a"), failed("a"))
        assert reply.settlements == (Settlement.SETTLED, Settlement.LOST)
        assert await subject.state("a") is JobState.COMPLETED
        assert await subject.listed(JobState.FAILED) == []

    async def test_one_call_settles_first_then_promotes_then_claims(self, subject: Subject) -> None:
        await subject.claim("a", token="T1")
        await subject.enqueue("b", job("c", delay_ms=5))
        subject.advance(5)
        reply = await subject.exchange("T2", slots=3, outcomes=[completed("a", token="T1")])
        assert ids(reply) == ["b", "c"]
        assert (await subject.events())[4:] == [
            "completed a attempt=1",
            "promoted c",
            "active b attempt=1",
            "active c attempt=1",
        ]
