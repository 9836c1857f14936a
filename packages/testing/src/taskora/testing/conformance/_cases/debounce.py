"""Dispatches that replace the one before."""

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._clock import MINUTE_MS
from taskora.testing.conformance._flow import admitting, created, debounced, dispatch
from taskora.testing.conformance._subject import LEASE_MS, TASK, Subject, ids, retrying
from taskora.wire import Exchange, ReadJob


class TestDebounce(Cases):
    """Dispatches that replace the one before."""

    async def test_only_the_last_of_several_dispatches_is_left(self, subject: Subject) -> None:
        for name in "abc":
            assert await dispatch(subject, debounced(name)) == [f"created {name}"]
        assert await subject.listed(JobState.DELAYED) == ["c"]
        assert await subject.run(ReadJob(task=TASK, job_id="a")) is None
        assert await subject.events() == [
            "delayed a",
            "debounced a replacedBy=b",
            "delayed b",
            "debounced b replacedBy=c",
            "delayed c",
        ]

    async def test_each_dispatch_waits_the_whole_time_again(self, subject: Subject) -> None:
        await created(subject, debounced("a"))
        subject.advance(MINUTE_MS - 1)
        await created(subject, debounced("b"))
        reply = await subject.exchange(slots=1)
        assert (ids(reply), reply.due_ms) == ([], subject.start_ms + 2 * MINUTE_MS - 1)
        subject.advance(MINUTE_MS)
        assert [claim.data for claim in (await subject.exchange(slots=1)).claims] == [b'"b"']

    async def test_the_jobs_of_one_call_see_each_other(self, subject: Subject) -> None:
        assert await dispatch(subject, debounced("a"), debounced("b")) == ["created a", "created b"]
        assert await subject.listed(JobState.DELAYED) == ["b"]

    async def test_keys_do_not_replace_each_other(self, subject: Subject) -> None:
        await created(subject, debounced("a", "one"), debounced("b", "two"))
        assert await subject.listed(JobState.DELAYED) == ["a", "b"]

    async def test_a_job_that_was_promoted_is_left_to_run(self, subject: Subject) -> None:
        await created(subject, debounced("a"))
        subject.advance(MINUTE_MS)
        await subject.exchange()
        await created(subject, debounced("b"))
        assert await subject.listed(JobState.WAITING) == ["a"]
        assert await subject.listed(JobState.DELAYED) == ["b"]

    async def test_a_job_that_waits_for_its_retry_is_left_to_run(self, subject: Subject) -> None:
        await created(subject, debounced("a"))
        subject.advance(MINUTE_MS)
        await subject.exchange(slots=1)
        await subject.settle(retrying("a", delay_ms=500))
        await created(subject, debounced("b"))
        assert await subject.listed(JobState.RETRYING) == ["a"]
        assert await subject.listed(JobState.DELAYED) == ["b"]

    async def test_a_job_that_was_left_for_newer_workers_is_replaced(self, subject: Subject) -> None:
        await subject.run(admitting(debounced("a"), version=7))
        subject.advance(MINUTE_MS)
        old = Exchange(task=TASK, token="old", lease_ms=LEASE_MS, slots=1, max_version=6)
        assert (await subject.run(old)).claims == ()
        await subject.run(admitting(debounced("b"), version=7))
        assert await subject.listed(JobState.DELAYED) == ["b"]
        assert subject.tricks.flow(TASK)["newer"] == []

    async def test_the_key_is_kept_twice_as_long_as_the_job_waits(self, subject: Subject) -> None:
        await created(subject, debounced("a"))
        subject.advance(2 * MINUTE_MS - 1)
        assert subject.tricks.flow(TASK)["values"] == {"debounce:k": "a"}
        subject.advance(1)
        assert subject.tricks.flow(TASK)["values"] == {}

    async def test_a_dispatch_that_is_sent_again_replaces_nothing(self, subject: Subject) -> None:
        await created(subject, debounced("a"))
        await created(subject, debounced("b"))
        subject.advance(5)
        assert await dispatch(subject, debounced("b"), resend=True) == ["created b"]
        reply = await subject.exchange()
        assert reply.due_ms == subject.start_ms + MINUTE_MS
        assert await subject.listed(JobState.DELAYED) == ["b"]

    async def test_a_dispatch_that_was_replaced_does_not_come_back_when_it_is_sent_again(
        self, subject: Subject
    ) -> None:
        await created(subject, debounced("a"))
        await created(subject, debounced("b"))
        assert await dispatch(subject, debounced("a"), resend=True) == ["created a"]
        assert await subject.listed(JobState.DELAYED) == ["b"]
        subject.advance(MINUTE_MS)
        assert [claim.data for claim in (await subject.exchange(slots=1)).claims] == [b'"b"']

    async def test_a_dispatch_that_was_never_carried_out_is_when_it_is_sent_again(self, subject: Subject) -> None:
        assert await dispatch(subject, debounced("a"), resend=True) == ["created a"]
        assert await subject.listed(JobState.DELAYED) == ["a"]

    async def test_an_id_that_is_taken_replaces_nothing(self, subject: Subject) -> None:
        await created(subject, debounced("a"))
        await subject.enqueue("b")
        assert await dispatch(subject, debounced("b")) == ["taken b"]
        assert await subject.listed(JobState.DELAYED) == ["a"]
