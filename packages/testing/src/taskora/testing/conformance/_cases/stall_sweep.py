"""Jobs whose worker is not heard of any more."""

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import TASK, Subject, completed, ids, job, released
from taskora.wire import Cancel, Recovered, RecoverStalled, Settlement

SWEEP = RecoverStalled(task=TASK, max_count=1)
NOTHING = Recovered(recovered=(), failed=(), cancelled=())


async def abandon(subject: Subject, *job_ids: str, token: str = "T") -> None:
    """Claims jobs, lets a sweep see them, and loses their leases."""
    await subject.claim(*job_ids, token=token)
    assert await subject.run(SWEEP) == NOTHING
    for job_id in job_ids:
        subject.tricks.lose_lease(TASK, job_id)


class TestStallSweep(Cases):
    """Jobs whose worker is not heard of any more."""

    async def test_a_sweep_of_nothing_does_nothing(self, subject: Subject) -> None:
        assert await subject.run(SWEEP) == NOTHING

    async def test_a_job_without_a_lease_runs_again_at_the_second_sweep(self, subject: Subject) -> None:
        await subject.claim("a")
        subject.tricks.lose_lease(TASK, "a")
        assert await subject.run(SWEEP) == NOTHING
        assert await subject.run(SWEEP) == Recovered(recovered=("a",), failed=(), cancelled=())
        assert await subject.listed(JobState.ACTIVE) == []
        record = await subject.record("a")
        assert (record.status.state, record.status.attempt, record.stalled_count) == (JobState.WAITING, 1, 1)
        assert (await subject.events())[2:] == ["stalled a count=1 action=recovered"]

    async def test_a_job_whose_lease_holds_is_not_touched(self, subject: Subject) -> None:
        await subject.claim("a")
        before = await subject.record("a")
        for _ in range(3):
            assert await subject.run(SWEEP) == NOTHING
        assert await subject.record("a") == before

    async def test_two_sweeps_at_once_recover_a_job_once(self, subject: Subject) -> None:
        await abandon(subject, "a")
        assert (await subject.run(SWEEP)).recovered == ("a",)
        assert await subject.run(SWEEP) == NOTHING
        assert await subject.listed(JobState.WAITING) == ["a"]

    async def test_a_candidate_that_finished_meanwhile_is_not_touched(self, subject: Subject) -> None:
        await subject.claim("a")
        await subject.run(SWEEP)
        await subject.settle(completed("a"))
        assert await subject.run(SWEEP) == NOTHING
        assert await subject.listed(JobState.COMPLETED) == ["a"]
        assert await subject.listed(JobState.WAITING) == []

    async def test_a_candidate_that_was_given_back_and_claimed_again_is_not_touched(self, subject: Subject) -> None:
        await subject.claim("a", token="T1")
        await subject.run(SWEEP)
        await subject.exchange("T2", slots=1, outcomes=[released("a", token="T1")])
        subject.tricks.lose_lease(TASK, "a")
        assert await subject.run(SWEEP) == NOTHING

    async def test_a_job_that_stalls_too_often_fails(self, subject: Subject) -> None:
        await abandon(subject, "a")
        await subject.run(SWEEP)
        await subject.exchange("T2", slots=1)
        await subject.run(SWEEP)
        subject.tricks.lose_lease(TASK, "a")
        subject.advance(50)
        assert await subject.run(SWEEP) == Recovered(recovered=(), failed=("a",), cancelled=())
        record = await subject.record("a")
        assert (record.status.state, record.stalled_count) == (JobState.FAILED, 2)
        assert record.status.error == "Job stalled and exceeded max stalled count"
        assert record.status.finished_on_ms == subject.start_ms + 50
        assert await subject.listed(JobState.FAILED) == ["a"]
        assert (await subject.events())[-2:] == [
            "stalled a count=2 action=failed",
            "failed a attempt=1 error=Job stalled and exceeded max stalled count",
        ]

    async def test_without_patience_the_first_stall_fails(self, subject: Subject) -> None:
        await abandon(subject, "a")
        assert (await subject.run(RecoverStalled(task=TASK, max_count=0))).failed == ("a",)

    async def test_a_stalled_job_that_shall_stop_is_cancelled(self, subject: Subject) -> None:
        await abandon(subject, "a")
        await subject.run(Cancel(task=TASK, job_id="a", reason="enough"))
        assert await subject.run(SWEEP) == Recovered(recovered=(), failed=(), cancelled=("a",))
        record = await subject.record("a")
        assert (record.status.state, record.stalled_count) == (JobState.CANCELLED, 0)
        assert await subject.listed(JobState.CANCELLED) == ["a"]
        assert (await subject.events())[-1] == "cancelled a reason=enough"

    async def test_the_oldest_claim_is_given_back_first(self, subject: Subject) -> None:
        names = [f"job-{number}" for number in (7, 3, 9, 1, 8, 2)]
        await abandon(subject, *names)
        assert (await subject.run(SWEEP)).recovered == (*names,)
        assert ids(await subject.exchange("T2", slots=9)) == names

    async def test_a_prioritized_job_gets_its_place_back(self, subject: Subject) -> None:
        await subject.enqueue(job("a", priority=5))
        await subject.exchange(slots=1)
        await subject.run(SWEEP)
        subject.tricks.lose_lease(TASK, "a")
        subject.advance(10)
        await subject.enqueue(job("b", priority=5))
        await subject.run(SWEEP)
        assert ids(await subject.exchange("T2", slots=2)) == ["a", "b"]

    async def test_who_claims_a_job_that_has_lost_a_worker_is_told_so(self, subject: Subject) -> None:
        await abandon(subject, "a")
        await subject.run(SWEEP)
        await subject.enqueue("b")
        for resend in (False, True):
            claims = (await subject.exchange("T2", slots=2, resend=resend)).claims
            assert [(claim.job_id, claim.attempt, claim.has_stalled) for claim in claims] == [
                ("a", 1, True),
                ("b", 1, False),
            ]

    async def test_a_late_worker_is_refused_after_its_job_was_recovered(self, subject: Subject) -> None:
        await abandon(subject, "a", token="T1")
        await subject.run(SWEEP)
        await subject.exchange("T2", slots=1)
        assert (await subject.settle(completed("a", token="T1"))).settlements == (Settlement.LOST,)
        assert (await subject.settle(completed("a", token="T2"))).settlements == (Settlement.SETTLED,)

    async def test_a_job_that_was_deleted_while_it_ran_is_forgotten(self, subject: Subject) -> None:
        await abandon(subject, "a")
        subject.tricks.lose_record(TASK, "a")
        assert await subject.run(SWEEP) == NOTHING
        assert await subject.listed(JobState.ACTIVE) == []
        assert await subject.state("a") is None

    async def test_the_outcome_of_a_job_that_was_deleted_while_it_ran_creates_nothing(self, subject: Subject) -> None:
        await subject.claim("a")
        subject.tricks.lose_record(TASK, "a")
        assert (await subject.settle(completed("a"))).settlements == (Settlement.LOST,)
        assert await subject.state("a") is None
        assert subject.lease("a") is None
