"""Jobs that take the newest payload while they wait."""

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._clock import MINUTE_MS
from taskora.testing.conformance._flow import admitting, created, dispatch, latest
from taskora.testing.conformance._subject import TASK, Subject, completed, ids, retrying
from taskora.wire import CountJobs


class TestKeepLatest(Cases):
    """Jobs that take the newest payload while they wait."""

    async def test_the_job_that_waits_takes_the_newest_payload(self, subject: Subject) -> None:
        assert await dispatch(subject, latest("a")) == ["created a"]
        assert await dispatch(subject, latest("b"), latest("c")) == ["updated a", "updated a"]
        assert [claim.data for claim in (await subject.exchange(slots=5)).claims] == [b'"c"']
        assert await subject.events() == ["waiting a", "active a attempt=1"]

    async def test_at_most_one_runs_and_one_waits(self, subject: Subject) -> None:
        await created(subject, latest("a"))
        await subject.exchange(slots=5)
        assert await dispatch(subject, latest("b"), latest("c"), latest("d")) == ["created b", "updated b", "updated b"]
        assert ids(await subject.exchange(slots=5)) == []
        assert await dispatch(subject, latest("e")) == ["updated b"]
        counts = await subject.run(CountJobs(task=TASK))
        assert (counts.active, counts.waiting, counts.parked) == (1, 1, 1)
        reply = await subject.exchange("T2", slots=5, outcomes=[completed("a")])
        assert [claim.data for claim in reply.claims] == [b'"e"']

    async def test_the_payload_brings_its_version(self, subject: Subject) -> None:
        await created(subject, latest("a"))
        await subject.run(admitting(latest("b"), version=4))
        assert (await subject.exchange(slots=1)).claims[0].version == 4

    async def test_the_payload_brings_its_time_to_live(self, subject: Subject) -> None:
        await created(subject, latest("a", ttl_ms=10))
        subject.advance(9)
        await dispatch(subject, latest("b", ttl_ms=100))
        assert (await subject.record("a")).expire_at_ms == subject.start_ms + 109
        await dispatch(subject, latest("c"))
        subject.advance(5000)
        assert ids(await subject.exchange(slots=1)) == ["a"]

    async def test_a_payload_is_not_given_to_a_job_that_expires_at_the_same_instant(self, subject: Subject) -> None:
        await created(subject, latest("a", ttl_ms=10))
        subject.advance(10)
        assert await dispatch(subject, latest("b")) == ["updated a"]
        assert [claim.data for claim in (await subject.exchange(slots=1)).claims] == [b'"b"']

    async def test_a_job_that_waits_for_its_retry_keeps_its_payload(self, subject: Subject) -> None:
        await created(subject, latest("a"))
        await subject.exchange(slots=1)
        await subject.settle(retrying("a", delay_ms=5))
        assert await dispatch(subject, latest("b")) == ["created b"]
        subject.advance(5)
        assert ids(await subject.exchange("T2", slots=5)) == ["b"]
        assert ids(await subject.exchange("T3", slots=5, outcomes=[completed("b", token="T2")])) == ["a"]

    async def test_keys_are_independent(self, subject: Subject) -> None:
        assert await dispatch(subject, latest("a", "one"), latest("b", "two")) == ["created a", "created b"]

    async def test_the_end_frees_the_key(self, subject: Subject) -> None:
        await created(subject, latest("a"))
        await subject.exchange(slots=1)
        await subject.settle(completed("a"))
        assert subject.tricks.flow(TASK)["values"] == {}

    async def test_an_update_that_is_sent_again_gives_its_payload_once(self, subject: Subject) -> None:
        await created(subject, latest("a"))
        assert await dispatch(subject, latest("b")) == ["updated a"]
        assert await dispatch(subject, latest("c")) == ["updated a"]
        assert await dispatch(subject, latest("b"), resend=True) == ["updated a"]
        assert [claim.data for claim in (await subject.exchange(slots=1)).claims] == [b'"c"']
        assert await dispatch(subject, latest("c"), resend=True) == ["updated a"]
        await subject.settle(completed("a"))
        assert await dispatch(subject, latest("c"), resend=True) == ["updated a"]
        assert await subject.listed(JobState.WAITING) == []

    async def test_the_dispatch_that_made_the_job_knows_it_again_under_another_payload(self, subject: Subject) -> None:
        await created(subject, latest("a"))
        await dispatch(subject, latest("b"))
        assert await dispatch(subject, latest("a"), resend=True) == ["created a"]
        assert await dispatch(subject, latest("a")) == ["taken a"]
        assert (await subject.record("a")).data == b'"b"'

    async def test_an_update_is_remembered_for_a_minute(self, subject: Subject) -> None:
        await created(subject, latest("a"))
        await dispatch(subject, latest("b"))
        subject.advance(MINUTE_MS - 1)
        assert subject.tricks.flow(TASK)["values"] == {"dedup:k": "a", "sent:b": "a"}
        subject.advance(1)
        assert subject.tricks.flow(TASK)["values"] == {"dedup:k": "a"}
