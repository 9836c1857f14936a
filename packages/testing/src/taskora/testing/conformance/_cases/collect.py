"""Payloads that gather and run as one job."""

import json

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._clock import MINUTE_MS
from taskora.testing.conformance._flow import collected, pushing
from taskora.testing.conformance._subject import LEASE_MS, TASK, Subject, completed, ids, retrying
from taskora.wire import (
    Batch,
    Cancel,
    Collecting,
    Exchange,
    PushCollect,
    ReadCollect,
    ReadJob,
    RecoverStalled,
)

NOTHING = Batch(items=(), count=0, first_ms=None, last_ms=None)
WAITING = Collecting.WAITING


async def push(subject: Subject, *names: str, **options: int) -> None:
    for name in names:
        await subject.run(pushing(name, **options))  # type: ignore[arg-type]  # checked by the tests' success


async def batch(subject: Subject, key: str = "k") -> Batch:
    return await subject.run(ReadCollect(task=TASK, key=key))


async def claimed(subject: Subject, token: str = "T") -> list[tuple[str, bytes]]:
    return [(claim.job_id, claim.data) for claim in (await subject.exchange(token, slots=9)).claims]


class TestCollect(Cases):
    """Payloads that gather and run as one job."""

    async def test_items_gather_and_run_as_one_array(self, subject: Subject) -> None:
        replies = [await subject.run(pushing(name)) for name in "abc"]
        assert replies == [collected(WAITING, 1), collected(WAITING, 2), collected(WAITING, 3)]
        assert await claimed(subject) == []
        subject.advance(MINUTE_MS)
        assert await claimed(subject) == [("c", b'["a","b","c"]')]
        assert await batch(subject) == NOTHING
        assert (await subject.events())[:3] == [
            "collect a count=1 key=k",
            "collect b count=2 key=k",
            "collect c count=3 key=k",
        ]

    async def test_only_the_last_push_has_a_job(self, subject: Subject) -> None:
        await push(subject, *"abc")
        assert [await subject.state(name) for name in "abc"] == [None, None, JobState.DELAYED]
        record = await subject.record("c")
        assert (record.data, record.fields["collectKey"]) == (b"[]", b"k")
        assert {"priority", "delay"}.isdisjoint(record.fields)

    async def test_a_batch_can_be_looked_at_while_it_gathers(self, subject: Subject) -> None:
        assert await batch(subject) == NOTHING
        await push(subject, "a")
        subject.advance(7)
        await push(subject, "b")
        expected = Batch(items=(b'"a"', b'"b"'), count=2, first_ms=subject.start_ms, last_ms=subject.start_ms + 7)
        assert await batch(subject) == expected
        assert await batch(subject) == expected
        assert await batch(subject, "other") == NOTHING

    async def test_keys_gather_apart(self, subject: Subject) -> None:
        await subject.run(pushing("a", "one"))
        await subject.run(pushing("b", "two"))
        subject.advance(MINUTE_MS)
        assert await claimed(subject) == [("a", b'["a"]'), ("b", b'["b"]')]

    async def test_each_push_starts_the_wait_again(self, subject: Subject) -> None:
        await push(subject, "a")
        subject.advance(MINUTE_MS - 1)
        await push(subject, "b")
        subject.advance(MINUTE_MS - 1)
        assert await claimed(subject) == []
        subject.advance(1)
        assert await claimed(subject) == [("b", b'["a","b"]')]

    async def test_the_first_item_never_waits_longer_than_the_limit(self, subject: Subject) -> None:
        await push(subject, "a", max_wait_ms=MINUTE_MS + 10)
        subject.advance(MINUTE_MS - 1)
        await push(subject, "b", max_wait_ms=MINUTE_MS + 10)
        subject.advance(10)
        assert await claimed(subject) == []
        subject.advance(1)
        assert await claimed(subject) == [("b", b'["a","b"]')]

    async def test_a_full_batch_runs_at_once(self, subject: Subject) -> None:
        await push(subject, "a", "b", max_size=3)
        assert await subject.run(pushing("c", max_size=3)) == collected(Collecting.FLUSHED, 3)
        assert await batch(subject) == NOTHING
        assert await subject.state("b") is None
        record = await subject.record("c")
        assert (record.status.state, record.priority) == (JobState.WAITING, 0)
        assert "collectKey" not in record.fields
        assert await claimed(subject) == [("c", b'["a","b","c"]')]
        assert (await subject.events())[-2:] == ["waiting c", "active c attempt=1"]

    async def test_a_batch_of_one_needs_no_wait(self, subject: Subject) -> None:
        assert await subject.run(pushing("a", max_size=1)) == collected(Collecting.FLUSHED, 1)
        assert await claimed(subject) == [("a", b'["a"]')]

    async def test_items_beyond_the_limit_are_refused(self, subject: Subject) -> None:
        await push(subject, "a", "b", max_items=2)
        before = await batch(subject)
        subject.advance(3)
        assert await subject.run(pushing("c", max_items=2)) == collected(Collecting.FULL, 2)
        assert await batch(subject) == before
        assert await subject.listed(JobState.DELAYED) == ["b"]
        subject.advance(MINUTE_MS)
        assert await claimed(subject) == [("b", b'["a","b"]')]
        assert await subject.run(pushing("c", max_items=2)) == collected(WAITING, 1)

    async def test_an_item_that_comes_when_the_batch_is_due_joins_it(self, subject: Subject) -> None:
        await push(subject, "a")
        subject.advance(MINUTE_MS)
        await subject.exchange()
        assert await subject.state("a") is JobState.WAITING
        assert await subject.run(pushing("b")) == collected(WAITING, 2)
        assert await subject.state("b") is None
        assert await claimed(subject) == [("a", b'["a","b"]')]
        assert subject.tricks.ids_by_place(TASK)["delayed"] == []

    async def test_a_batch_that_fills_up_while_it_is_due_leaves_no_ghost(self, subject: Subject) -> None:
        await push(subject, "a")
        subject.advance(MINUTE_MS)
        await subject.exchange()
        assert await subject.run(pushing("b", max_size=2)) == collected(Collecting.FLUSHED, 2)
        assert await claimed(subject) == [("b", b'["a","b"]')]
        assert await subject.run(ReadJob(task=TASK, job_id="a")) is None
        assert await subject.listed(JobState.FAILED) == []

    async def test_a_due_job_takes_the_items_of_the_next_batch_and_nothing_twice(self, subject: Subject) -> None:
        await push(subject, "a")
        subject.advance(MINUTE_MS)
        await subject.exchange()
        await push(subject, "b", max_size=2)
        await push(subject, "c")
        assert await claimed(subject) == [("a", b'["c"]'), ("b", b'["a","b"]')]
        subject.advance(2 * MINUTE_MS)
        assert await claimed(subject, "T2") == []
        assert await subject.state("c") is None

    async def test_a_batch_that_is_due_goes_on_gathering_until_it_is_claimed(self, subject: Subject) -> None:
        names = [f"j{number}" for number in range(20)]
        await push(subject, names[0])
        subject.advance(MINUTE_MS)
        for name in names[1:]:
            await subject.exchange()
            await push(subject, name)
            subject.advance(1)
        [(job_id, data)] = await claimed(subject)
        assert (job_id, json.loads(data)) == (names[0], names)

    async def test_pushes_while_a_batch_runs_make_another_one(self, subject: Subject) -> None:
        await push(subject, "a")
        subject.advance(MINUTE_MS)
        await claimed(subject, "T1")
        assert await subject.run(pushing("b")) == collected(WAITING, 1)
        subject.advance(MINUTE_MS)
        assert await claimed(subject, "T2") == [("b", b'["b"]')]

    async def test_a_batch_that_failed_is_retried_whole(self, subject: Subject) -> None:
        await push(subject, "a", "b")
        subject.advance(MINUTE_MS)
        await claimed(subject)
        await push(subject, "c")
        await subject.settle(retrying("b"))
        assert await claimed(subject, "T2") == [("b", b'["a","b"]')]

    async def test_a_batch_whose_worker_died_is_recovered_whole(self, subject: Subject) -> None:
        await push(subject, "a", "b")
        subject.advance(MINUTE_MS)
        await claimed(subject)
        sweep = RecoverStalled(task=TASK, max_count=1)
        await subject.run(sweep)
        subject.tricks.lose_lease(TASK, "b")
        await push(subject, "c")
        assert (await subject.run(sweep)).recovered == ("b",)
        assert await claimed(subject, "T2") == [("b", b'["a","b"]')]

    async def test_a_claim_that_is_sent_again_gets_the_same_array(self, subject: Subject) -> None:
        await push(subject, "a")
        subject.advance(MINUTE_MS)
        first = await subject.exchange("T1", slots=1)
        await push(subject, "b")
        assert (await subject.exchange("T1", slots=1, resend=True)).claims == first.claims

    async def test_a_push_that_is_sent_again_joins_once(self, subject: Subject) -> None:
        await push(subject, "a")
        assert await subject.run(pushing("a", resend=True)) == collected(Collecting.REPEATED, 1)
        assert (await batch(subject)).items == (b'"a"',)

    async def test_a_push_that_is_sent_again_after_others_joins_once(self, subject: Subject) -> None:
        await push(subject, "a", "b", "c")
        assert await subject.run(pushing("a", resend=True)) == collected(Collecting.REPEATED, 3)
        assert (await batch(subject)).count == 3

    async def test_a_push_that_is_sent_again_when_its_batch_ran_does_nothing(self, subject: Subject) -> None:
        await push(subject, "a", "b", max_size=2)
        await claimed(subject)
        await subject.settle(completed("b"))
        for name in "ab":
            assert await subject.run(pushing(name, max_size=2, resend=True)) == collected(Collecting.REPEATED, 0)
        assert await batch(subject) == NOTHING

    async def test_a_push_that_was_refused_may_join_when_it_is_sent_again(self, subject: Subject) -> None:
        await push(subject, "a", "b", max_items=1)
        subject.advance(MINUTE_MS)
        await claimed(subject)
        assert await subject.run(pushing("b", max_items=1, resend=True)) == collected(WAITING, 1)

    async def test_a_push_that_was_never_carried_out_is_when_it_is_sent_again(self, subject: Subject) -> None:
        assert await subject.run(pushing("a", resend=True)) == collected(WAITING, 1)

    async def test_the_id_of_a_job_that_exists_is_not_used_again(self, subject: Subject) -> None:
        await subject.enqueue("a")
        assert await subject.run(pushing("a")) == collected(Collecting.REPEATED, 0)
        assert (await subject.record("a")).data == b'"a"'
        assert await batch(subject) == NOTHING

    async def test_items_of_a_cancelled_batch_run_with_the_next_push(self, subject: Subject) -> None:
        await push(subject, "a")
        await subject.run(Cancel(task=TASK, job_id="a"))
        subject.advance(1)
        assert await subject.run(pushing("b")) == collected(WAITING, 2)
        assert await subject.listed(JobState.CANCELLED) == ["a"]
        subject.advance(MINUTE_MS)
        assert await claimed(subject) == [("b", b'["a","b"]')]

    async def test_a_batch_that_waits_for_newer_workers_goes_on_gathering(self, subject: Subject) -> None:
        await push(subject, "a")
        subject.advance(MINUTE_MS)
        await subject.run(Exchange(task=TASK, token="old", lease_ms=LEASE_MS, slots=1, max_version=0))
        await push(subject, "b")
        assert subject.tricks.flow(TASK)["newer"] == []
        subject.advance(MINUTE_MS)
        assert await claimed(subject) == [("b", b'["a","b"]')]

    async def test_a_batch_that_nobody_took_in_time_is_not_lost(self, subject: Subject) -> None:
        await push(subject, "a")
        subject.advance(5 * MINUTE_MS)
        await push(subject, "b")
        subject.advance(MINUTE_MS)
        found = await claimed(subject)
        assert [data for _, data in found] == [b'["a","b"]']
        assert ids(await subject.exchange("T2", slots=9)) == []
        assert subject.tricks.flow(TASK)["records"] == [found[0][0]]

    async def test_a_batch_does_not_expire_for_its_items_would_stay_behind(self, subject: Subject) -> None:
        await push(subject, "a")
        subject.advance(2 * MINUTE_MS)
        assert ids(await subject.exchange("T", slots=0, ttl_ms=MINUTE_MS)) == []  # promoted
        assert ids(await subject.exchange("T2", slots=1, ttl_ms=MINUTE_MS)) == ["a"]
        assert await batch(subject) == NOTHING

    async def test_a_push_without_any_wait_is_due_at_once(self, subject: Subject) -> None:
        push_now = PushCollect(task=TASK, version=1, max_attempts=1, job_id="a", key="k", item=b"1", delay_ms=0)
        assert await subject.run(push_now) == collected(WAITING, 1)
        assert await claimed(subject) == [("a", b"[1]")]
