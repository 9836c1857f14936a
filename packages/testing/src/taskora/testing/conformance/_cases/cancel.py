"""Cancelling jobs in every state."""

import pytest

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import TASK, Subject, cancelled, completed, failed, ids, job, retrying
from taskora.wire import Cancel, CancelReply, Outcome


def cancelling(job_id: str, reason: str = "") -> Cancel:
    return Cancel(task=TASK, job_id=job_id, reason=reason)


class TestCancel(Cases):
    """Cancelling jobs in every state."""

    async def test_a_job_that_does_not_exist_cannot_be_cancelled(self, subject: Subject) -> None:
        assert await subject.run(cancelling("a")) is CancelReply.UNKNOWN
        assert await subject.state("a") is None
        assert await subject.events() == []

    @pytest.mark.parametrize(
        "new", [job("a"), job("a", priority=3), job("a", delay_ms=50)], ids=["list", "set", "delayed"]
    )
    async def test_a_job_that_waits_is_cancelled_at_once(self, subject: Subject, new: object) -> None:
        await subject.enqueue(new)  # type: ignore[arg-type]  # a NewJob
        subject.advance(5)
        assert await subject.run(cancelling("a", "why not")) is CancelReply.CANCELLED
        status = (await subject.record("a")).status
        assert (status.state, status.cancel_reason) == (JobState.CANCELLED, "why not")
        assert status.finished_on_ms == subject.start_ms + 5
        assert await subject.listed(JobState.CANCELLED) == ["a"]
        assert (await subject.events())[1:] == ["cancelled a reason=why not"]
        subject.advance(100)
        assert ids(await subject.exchange(slots=1)) == []

    async def test_a_job_that_waits_for_its_retry_is_cancelled_at_once(self, subject: Subject) -> None:
        await subject.claim("a")
        await subject.settle(retrying("a", delay_ms=50))
        assert await subject.run(cancelling("a")) is CancelReply.CANCELLED
        assert await subject.listed(JobState.RETRYING) == []
        subject.advance(50)
        assert ids(await subject.exchange(slots=1)) == []

    async def test_without_a_reason_the_event_has_an_empty_one_and_the_record_none(self, subject: Subject) -> None:
        await subject.enqueue("a")
        await subject.run(cancelling("a"))
        assert (await subject.record("a")).status.cancel_reason is None
        assert (await subject.events())[1:] == ["cancelled a reason="]

    async def test_an_active_job_is_only_asked_to_stop(self, subject: Subject) -> None:
        await subject.claim("a")
        subject.advance(5)
        assert await subject.run(cancelling("a", "one")) is CancelReply.REQUESTED
        subject.advance(5)
        assert await subject.run(cancelling("a", "two")) is CancelReply.REQUESTED
        fields = (await subject.record("a")).fields
        assert fields["state"] == b"active"
        assert fields["cancelledAt"] == str(subject.start_ms + 10).encode()
        assert fields["cancelReason"] == b"two"
        assert (await subject.events())[2:] == []

    @pytest.mark.parametrize("end", [completed("a"), failed("a"), cancelled("a")], ids=lambda end: str(end.kind.value))
    async def test_a_job_that_has_ended_is_left_as_it_is(self, subject: Subject, end: Outcome) -> None:
        await subject.claim("a")
        await subject.settle(end)
        before = await subject.record("a")
        assert await subject.run(cancelling("a", "late")) is CancelReply.ENDED
        assert await subject.record("a") == before

    async def test_an_expired_job_has_ended(self, subject: Subject) -> None:
        await subject.enqueue(job("a", ttl_ms=5))
        subject.advance(5)
        await subject.exchange(slots=1)
        assert await subject.run(cancelling("a")) is CancelReply.ENDED

    async def test_only_the_named_job_leaves_the_queue(self, subject: Subject) -> None:
        await subject.enqueue(*"abcd")
        await subject.run(cancelling("b"))
        assert ids(await subject.exchange(slots=4)) == ["a", "c", "d"]
