"""Dispatches that are refused while another one's job is there."""

from typing import Any

import pytest

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._clock import MINUTE_MS
from taskora.testing.conformance._flow import created, deduplicated, deduplicated_for, dispatch
from taskora.testing.conformance._subject import TASK, Subject, cancelled, completed, failed, job, released, retrying
from taskora.wire import Cancel, RecoverStalled

WAITS = (JobState.WAITING, JobState.DELAYED)


def owner(subject: Subject) -> str | None:
    found: str | None = subject.tricks.flow(TASK)["values"].get("dedup:k")
    return found


class TestDeduplicate(Cases):
    """Dispatches that are refused while another one's job is there."""

    async def test_a_duplicate_leaves_no_trace_and_names_the_job_that_is_there(self, subject: Subject) -> None:
        assert await dispatch(subject, deduplicated("a")) == ["created a"]
        assert await dispatch(subject, deduplicated("b")) == ["duplicate a"]
        assert await subject.listed(JobState.WAITING) == ["a"]
        assert await subject.state("b") is None
        assert await subject.events() == ["waiting a"]

    async def test_the_jobs_of_one_call_see_each_other(self, subject: Subject) -> None:
        replies = await dispatch(subject, deduplicated("a"), deduplicated("b"), deduplicated("c", "other"))
        assert replies == ["created a", "duplicate a", "created c"]

    async def test_a_delayed_job_is_a_reason(self, subject: Subject) -> None:
        await created(subject, deduplicated("a", delay_ms=5))
        assert await dispatch(subject, deduplicated("b")) == ["duplicate a"]

    async def test_an_active_job_is_a_reason_unless_the_dispatch_says_otherwise(self, subject: Subject) -> None:
        await created(subject, deduplicated("a"))
        await subject.exchange(slots=1)
        assert await dispatch(subject, deduplicated("b")) == ["duplicate a"]
        assert await dispatch(subject, deduplicated("b", states=WAITS)) == ["created b"]
        assert owner(subject) == "b"

    async def test_a_job_that_waits_for_its_retry_is_a_reason_for_those_who_ask(self, subject: Subject) -> None:
        await created(subject, deduplicated("a"))
        await subject.exchange(slots=1)
        await subject.settle(retrying("a", delay_ms=5))
        assert await dispatch(subject, deduplicated("b", states=(JobState.RETRYING,))) == ["duplicate a"]
        assert await dispatch(subject, deduplicated("b")) == ["created b"]

    @pytest.mark.parametrize(("end", "state"), [(completed, "completed"), (failed, "failed"), (cancelled, "cancelled")])
    async def test_the_end_of_a_job_frees_its_key(self, subject: Subject, end: Any, state: str) -> None:
        await created(subject, deduplicated("a"))
        await subject.exchange(slots=1)
        await subject.settle(end("a"))
        assert await subject.state("a") == JobState(state)
        assert owner(subject) is None
        assert await dispatch(subject, deduplicated("b")) == ["created b"]

    @pytest.mark.parametrize("delay_ms", [0, 500])
    async def test_a_cancellation_frees_the_key(self, subject: Subject, delay_ms: int) -> None:
        await created(subject, deduplicated("a", delay_ms=delay_ms))
        await subject.run(Cancel(task=TASK, job_id="a"))
        assert owner(subject) is None

    @pytest.mark.parametrize("on_expire", ["fail", "discard"])
    @pytest.mark.parametrize("delay_ms", [0, 5])
    async def test_an_expiry_frees_the_key(self, subject: Subject, delay_ms: int, on_expire: str) -> None:
        await created(subject, deduplicated("a", delay_ms=delay_ms, ttl_ms=5))
        subject.advance(5)
        await subject.exchange(slots=1, on_expire=on_expire)
        assert owner(subject) is None
        assert await dispatch(subject, deduplicated("b")) == ["created b"]

    @pytest.mark.parametrize("flagged", [False, True])
    async def test_the_end_of_a_job_without_a_worker_frees_the_key(self, subject: Subject, flagged: bool) -> None:
        await created(subject, deduplicated("a"))
        await subject.exchange(slots=1)
        if flagged:
            await subject.run(Cancel(task=TASK, job_id="a"))
        sweep = RecoverStalled(task=TASK, max_count=0)
        await subject.run(sweep)
        subject.tricks.lose_lease(TASK, "a")
        found = await subject.run(sweep)
        assert found.failed + found.cancelled == ("a",)
        assert owner(subject) is None

    async def test_a_retry_and_a_release_keep_the_key(self, subject: Subject) -> None:
        await created(subject, deduplicated("a"))
        await subject.exchange(slots=1)
        await subject.settle(retrying("a"))
        await subject.exchange(slots=1)
        await subject.settle(released("a"))
        assert owner(subject) == "a"

    @pytest.mark.parametrize("end", [completed, failed, cancelled])
    async def test_a_job_that_lost_its_key_leaves_it_alone(self, subject: Subject, end: Any) -> None:
        await created(subject, deduplicated("a"))
        await subject.exchange(slots=1)
        await created(subject, deduplicated("b", states=WAITS))
        await subject.settle(end("a"))
        assert owner(subject) == "b"
        assert await dispatch(subject, deduplicated("c")) == ["duplicate b"]

    async def test_a_stalled_job_that_lost_its_key_leaves_it_alone(self, subject: Subject) -> None:
        await created(subject, deduplicated("a"))
        await subject.exchange(slots=1)
        await created(subject, deduplicated("b", states=WAITS))
        sweep = RecoverStalled(task=TASK, max_count=0)
        await subject.run(sweep)
        subject.tricks.lose_lease(TASK, "a")
        assert (await subject.run(sweep)).failed == ("a",)
        assert owner(subject) == "b"

    async def test_a_key_whose_job_is_gone_is_free(self, subject: Subject) -> None:
        await created(subject, deduplicated("a"))
        await subject.exchange(slots=1)
        subject.tricks.lose_record(TASK, "a")
        assert await dispatch(subject, deduplicated("b")) == ["created b"]

    async def test_a_dispatch_that_is_sent_again_is_not_its_own_duplicate(self, subject: Subject) -> None:
        await created(subject, deduplicated("a"))
        assert await dispatch(subject, deduplicated("a"), resend=True) == ["created a"]
        await subject.exchange(slots=1)
        await subject.settle(completed("a"))
        assert await dispatch(subject, deduplicated("a"), resend=True) == ["created a"]
        assert await subject.state("a") is JobState.COMPLETED
        assert owner(subject) is None

    async def test_a_window_of_time_outlives_the_job(self, subject: Subject) -> None:
        assert await dispatch(subject, deduplicated_for("a")) == ["created a"]
        await subject.exchange(slots=1)
        await subject.settle(completed("a"))
        subject.advance(MINUTE_MS - 1)
        assert await dispatch(subject, deduplicated_for("b")) == ["duplicate a"]
        subject.advance(1)
        assert await dispatch(subject, deduplicated_for("b")) == ["created b"]

    async def test_a_window_of_time_is_not_prolonged_by_duplicates(self, subject: Subject) -> None:
        await created(subject, deduplicated_for("a"))
        subject.advance(MINUTE_MS // 2)
        assert await dispatch(subject, deduplicated_for("b")) == ["duplicate a"]
        subject.advance(MINUTE_MS // 2)
        assert await dispatch(subject, deduplicated_for("c")) == ["created c"]

    async def test_a_window_that_is_asked_for_again_is_answered_the_same(self, subject: Subject) -> None:
        await created(subject, deduplicated_for("a"))
        assert await dispatch(subject, deduplicated_for("a"), resend=True) == ["created a"]

    async def test_the_record_names_the_key_only_where_the_job_owns_it(self, subject: Subject) -> None:
        await created(subject, deduplicated("a", "x"), deduplicated_for("b", "y"))
        assert (await subject.record("a")).fields["dedupKey"] == b"taskora:{work}:dedup:x"
        assert "dedupKey" not in (await subject.record("b")).fields

    async def test_a_state_that_follows_a_window_lasts_as_long_as_the_job(self, subject: Subject) -> None:
        await created(subject, deduplicated_for("a"))
        await created(subject, deduplicated("b", states=(JobState.ACTIVE,)))
        subject.advance(10 * MINUTE_MS)
        assert await dispatch(subject, deduplicated("c")) == ["duplicate b"]

    async def test_a_plain_job_of_the_same_id_is_in_the_way(self, subject: Subject) -> None:
        await subject.enqueue(job("a"))
        assert await dispatch(subject, deduplicated("a")) == ["taken a"]
        assert owner(subject) is None
