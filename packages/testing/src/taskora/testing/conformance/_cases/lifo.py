"""Jobs that leave before those that came earlier."""

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._flow import created, lifo
from taskora.testing.conformance._subject import TASK, Subject, ids, job
from taskora.wire import CountJobs


class TestLifo(Cases):
    """Jobs that leave before those that came earlier."""

    async def test_the_last_that_came_leaves_first(self, subject: Subject) -> None:
        await subject.enqueue("a")
        await created(subject, lifo("b"), lifo("c"))
        assert await subject.listed(JobState.WAITING) == ["c", "b", "a"]
        assert ids(await subject.exchange(slots=3)) == ["c", "b", "a"]

    async def test_only_within_its_priority(self, subject: Subject) -> None:
        await subject.enqueue(job("high", priority=9), job("low", priority=8), job("lower", priority=7))
        subject.advance(5)
        await created(subject, lifo("late", priority=8), lifo("plain"))
        subject.advance(5)
        await created(subject, lifo("later", priority=8))
        assert ids(await subject.exchange(slots=9)) == ["high", "later", "late", "low", "lower", "plain"]

    async def test_a_delayed_job_takes_its_place_when_it_is_due(self, subject: Subject) -> None:
        await created(subject, lifo("due", delay_ms=5))
        await subject.enqueue("a")
        subject.advance(5)
        assert ids(await subject.exchange(slots=2)) == ["a", "due"]

    async def test_the_age_of_the_oldest_is_known_when_all_came_last(self, subject: Subject) -> None:
        await created(subject, lifo("a", priority=2))
        subject.advance(7)
        assert (await subject.run(CountJobs(task=TASK))).oldest_waiting_age_ms == 7
