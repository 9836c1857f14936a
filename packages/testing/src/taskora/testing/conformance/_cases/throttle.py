"""So many dispatches in a window of time."""

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._clock import MINUTE_MS
from taskora.testing.conformance._flow import created, dispatch, throttled
from taskora.testing.conformance._subject import TASK, Subject, completed
from taskora.wire import RemoveFinished


class TestThrottle(Cases):
    """So many dispatches in a window of time."""

    async def test_so_many_are_accepted_and_the_rest_leave_no_trace(self, subject: Subject) -> None:
        replies = [(await dispatch(subject, throttled(name)))[0] for name in "abcd"]
        assert replies == ["created a", "created b", "throttled c", "throttled d"]
        assert await subject.listed(JobState.WAITING) == ["a", "b"]
        assert await subject.state("c") is None
        assert await subject.events() == ["waiting a", "waiting b"]

    async def test_the_jobs_of_one_call_count(self, subject: Subject) -> None:
        replies = await dispatch(subject, *(throttled(name) for name in "abc"))
        assert replies == ["created a", "created b", "throttled c"]

    async def test_a_job_that_ended_counts_until_the_window_ends(self, subject: Subject) -> None:
        await created(subject, throttled("a", most=1))
        await subject.exchange(slots=1)
        await subject.settle(completed("a"))
        await subject.run(RemoveFinished(task=TASK, state=JobState.COMPLETED, job_id="a"))
        assert await dispatch(subject, throttled("b", most=1)) == ["throttled b"]

    async def test_the_window_begins_with_the_first_and_ends_for_all(self, subject: Subject) -> None:
        await created(subject, throttled("a"))
        subject.advance(MINUTE_MS - 1)
        await created(subject, throttled("b"))
        assert await dispatch(subject, throttled("c")) == ["throttled c"]
        subject.advance(1)
        replies = await dispatch(subject, *(throttled(name) for name in "cde"))
        assert replies == ["created c", "created d", "throttled e"]

    async def test_keys_count_apart(self, subject: Subject) -> None:
        replies = await dispatch(subject, throttled("a", "one", most=1), throttled("b", "two", most=1))
        assert replies == ["created a", "created b"]

    async def test_a_delayed_job_counts_when_it_is_dispatched(self, subject: Subject) -> None:
        await created(subject, throttled("a", most=1, delay_ms=5))
        assert await dispatch(subject, throttled("b", most=1)) == ["throttled b"]
        assert await subject.listed(JobState.DELAYED) == ["a"]

    async def test_a_dispatch_that_is_sent_again_counts_once(self, subject: Subject) -> None:
        await created(subject, throttled("a"))
        assert await dispatch(subject, throttled("a"), resend=True) == ["created a"]
        assert subject.tricks.flow(TASK)["values"] == {"throttle:k": "1"}
        assert await dispatch(subject, throttled("b"), throttled("c")) == ["created b", "throttled c"]

    async def test_an_id_that_is_taken_does_not_count(self, subject: Subject) -> None:
        await subject.enqueue("a")
        assert await dispatch(subject, throttled("a"), throttled("b")) == ["taken a", "created b"]
        assert subject.tricks.flow(TASK)["values"] == {"throttle:k": "1"}
