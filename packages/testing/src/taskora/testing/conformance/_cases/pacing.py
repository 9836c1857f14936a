"""Rates of starts, singletons, and reserved starts."""

import pytest

from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._clock import MINUTE_MS
from taskora.testing.conformance._flow import created, keyed
from taskora.testing.conformance._subject import TASK, Subject, completed, ids, job, retrying
from taskora.wire import CountJobs, Pace, ReserveStart

TWO = Pace(max=2, window_ms=MINUTE_MS)
ALONE = Pace(singleton=True)


def reserving(start_id: str, key: str = "k", *, most: int = 2) -> ReserveStart:
    return ReserveStart(task=TASK, key=key, start_id=start_id, max=most, window_ms=MINUTE_MS)


class TestPacing(Cases):
    """Rates of starts, singletons, and reserved starts."""

    async def test_no_more_start_in_a_window_than_the_rate_allows(self, subject: Subject) -> None:
        await subject.enqueue(*"abcde")
        assert ids(await subject.exchange("T1", slots=5, pace=TWO)) == ["a", "b"]
        assert ids(await subject.exchange("T2", slots=5, pace=TWO)) == []
        assert await subject.run(CountJobs(task=TASK)) is not None
        assert subject.tricks.ids_by_place(TASK)["wait"] == ["c", "d", "e"]

    async def test_the_window_slides(self, subject: Subject) -> None:
        await subject.enqueue(*"abcde")
        await subject.exchange("T1", slots=1, pace=TWO)
        subject.advance(MINUTE_MS // 2)
        await subject.exchange("T2", slots=1, pace=TWO)
        subject.advance(MINUTE_MS // 2 - 1)
        assert ids(await subject.exchange("T3", slots=5, pace=TWO)) == []
        subject.advance(1)
        assert ids(await subject.exchange("T4", slots=5, pace=TWO)) == ["c"]
        subject.advance(MINUTE_MS // 2 - 1)
        assert ids(await subject.exchange("T5", slots=5, pace=TWO)) == []
        subject.advance(1)
        assert ids(await subject.exchange("T6", slots=5, pace=TWO)) == ["d"]

    async def test_a_worker_sleeps_until_the_window_lets_one_start(self, subject: Subject) -> None:
        await subject.enqueue(*"abc")
        await subject.exchange("T1", slots=1, pace=TWO)
        subject.advance(10)
        await subject.exchange("T2", slots=1, pace=TWO)
        await subject.exchange("T3", slots=1, pace=TWO)
        assert subject.tricks.marker(TASK) == subject.start_ms + MINUTE_MS

    async def test_counts_say_until_when_a_rate_holds_ready_jobs_back(self, subject: Subject) -> None:
        await subject.enqueue(*"ab")
        pace = Pace(max=1, window_ms=MINUTE_MS)
        for token in ("T1", "T2"):
            await subject.exchange(token, slots=1, pace=pace)
        counts = await subject.run(CountJobs(task=TASK))
        assert (counts.waiting, counts.rate_limited_until_ms) == (1, subject.start_ms + MINUTE_MS)
        subject.advance(MINUTE_MS)
        assert (await subject.run(CountJobs(task=TASK))).rate_limited_until_ms is None
        await subject.exchange("T3", slots=1, pace=pace)
        await subject.exchange("T4", slots=1, pace=pace)
        assert (await subject.run(CountJobs(task=TASK))).rate_limited_until_ms is None

    async def test_a_retry_is_a_start(self, subject: Subject) -> None:
        await subject.enqueue("a")
        await subject.exchange("T1", slots=1, pace=TWO)
        await subject.exchange("T2", slots=1, pace=TWO, outcomes=[retrying("a", token="T1")])
        assert ids(await subject.exchange("T3", slots=1, pace=TWO, outcomes=[retrying("a", token="T2")])) == []

    async def test_rates_of_other_keys_count_apart(self, subject: Subject) -> None:
        await subject.enqueue(*"abcd")
        for token, key in (("T1", "one"), ("T2", "two")):
            reply = await subject.exchange(token, slots=5, pace=Pace(max=1, window_ms=MINUTE_MS, key=key))
            assert len(reply.claims) == 1

    async def test_a_repetition_counts_what_it_had_started_once(self, subject: Subject) -> None:
        await subject.enqueue("a")
        pace = Pace(max=3, window_ms=MINUTE_MS)
        await subject.exchange("T1", slots=2, pace=pace)
        await subject.enqueue(*"bcd")
        assert ids(await subject.exchange("T1", slots=2, pace=pace, resend=True)) == ["a", "b"]
        assert ids(await subject.exchange("T2", slots=5, pace=pace)) == ["c"]

    async def test_jobs_that_are_blocked_or_expired_use_no_starts(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"), keyed("late", "other", ttl_ms=5))
        subject.advance(5)
        await subject.enqueue("c", "d")
        assert ids(await subject.exchange("T1", slots=5, pace=TWO)) == ["a", "c"]

    async def test_priorities_decide_who_starts(self, subject: Subject) -> None:
        await subject.enqueue("a", job("b", priority=1))
        assert ids(await subject.exchange(slots=2, pace=Pace(max=1, window_ms=MINUTE_MS))) == ["b"]

    async def test_a_singleton_runs_one_job_over_all_workers(self, subject: Subject) -> None:
        await subject.enqueue(*"abc")
        assert ids(await subject.exchange("T1", slots=5, pace=ALONE)) == ["a"]
        assert ids(await subject.exchange("T2", slots=5, pace=ALONE)) == []
        assert subject.tricks.marker(TASK) == subject.start_ms + 1000
        assert ids(await subject.exchange("T3", slots=5, pace=ALONE, outcomes=[completed("a", token="T1")])) == ["b"]

    async def test_a_repetition_of_a_singleton_gets_its_job_again(self, subject: Subject) -> None:
        await subject.enqueue(*"ab")
        await subject.exchange("T1", slots=3, pace=ALONE)
        assert ids(await subject.exchange("T1", slots=3, pace=ALONE, resend=True)) == ["a"]

    async def test_a_dead_entry_does_not_block_a_singleton(self, subject: Subject) -> None:
        await subject.enqueue(*"ab")
        await subject.exchange("T1", slots=1, pace=ALONE)
        subject.tricks.lose_lease(TASK, "a")
        assert ids(await subject.exchange("T2", slots=1, pace=ALONE)) == ["b"]
        assert ids(await subject.exchange("T3", slots=1, pace=ALONE)) == []

    @pytest.mark.parametrize("pace", [TWO, ALONE])
    async def test_without_slots_nothing_is_paced(self, subject: Subject, pace: Pace) -> None:
        await subject.enqueue(*"abc")
        await subject.exchange("T1", slots=2, pace=pace)
        await subject.exchange("T2", slots=0, pace=pace)
        assert subject.tricks.marker(TASK) == 0

    async def test_a_singleton_may_have_a_rate_too(self, subject: Subject) -> None:
        pace = Pace(singleton=True, max=1, window_ms=MINUTE_MS)
        await subject.enqueue(*"ab")
        await subject.exchange("T1", slots=2, pace=pace)
        assert ids(await subject.exchange("T2", slots=2, pace=pace, outcomes=[completed("a", token="T1")])) == []
        assert subject.tricks.marker(TASK) == subject.start_ms + MINUTE_MS

    async def test_starts_are_reserved_one_window_after_another(self, subject: Subject) -> None:
        subject.stop_time()
        waits = [await subject.run(reserving(f"s{number}")) for number in range(5)]
        assert waits == [0, 0, MINUTE_MS, MINUTE_MS, 2 * MINUTE_MS]

    async def test_a_reservation_that_is_asked_for_again_is_the_same(self, subject: Subject) -> None:
        for name in "abc":
            await subject.run(reserving(name))
        subject.advance(10)
        assert await subject.run(reserving("c")) == MINUTE_MS - 10
        assert await subject.run(reserving("a")) == 0
        assert await subject.run(reserving("d")) == MINUTE_MS - 10

    async def test_reserved_starts_slide(self, subject: Subject) -> None:
        await subject.run(reserving("a"))
        subject.advance(MINUTE_MS // 2)
        await subject.run(reserving("b"))
        assert await subject.run(reserving("c")) == MINUTE_MS // 2
        assert await subject.run(reserving("d")) == MINUTE_MS
        subject.advance(MINUTE_MS)
        assert await subject.run(reserving("e")) == MINUTE_MS // 2

    async def test_reservations_of_other_keys_count_apart(self, subject: Subject) -> None:
        assert [await subject.run(reserving("a", key, most=1)) for key in ("one", "two", "one")] == [0, 0, 0]
        assert await subject.run(reserving("b", "one", most=1)) == MINUTE_MS
