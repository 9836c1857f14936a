"""Keys whose jobs run so many at a time, and the jobs parked behind them."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._flow import created, dispatch, keyed
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
from taskora.wire import Cancel, ControlledJob, CountJobs, RecoverStalled, Settlement

SWEEP = RecoverStalled(task=TASK, max_count=5)


def held(subject: Subject, key: str = "org") -> int:
    return int(subject.tricks.flow(TASK)["values"].get(f"conc:{key}", 0))


def parked(subject: Subject) -> list[str]:
    return subject.tricks.ids_by_place(TASK)["parked"]


def unlimited(job_id: str, key: str = "org", *, priority: int = 0) -> ControlledJob:
    """A job whose dispatch leaves the limit of its key to the worker."""
    return ControlledJob(job=job(job_id, priority=priority), concurrency_key=key)


class TestConcurrencyKeys(Cases):
    """Keys whose jobs run so many at a time, and the jobs parked behind them."""

    async def test_as_many_run_as_the_limit_says(self, subject: Subject) -> None:
        await created(subject, *(keyed(name, limit=2) for name in "abcd"))
        assert ids(await subject.exchange("T1", slots=10)) == ["a", "b"]
        assert (held(subject), parked(subject)) == (2, ["c", "d"])
        assert ids(await subject.exchange("T2", slots=10)) == []

    async def test_keys_are_independent(self, subject: Subject) -> None:
        await created(subject, keyed("a1", "a"), keyed("a2", "a"), keyed("b1", "b"), keyed("b2", "b"))
        assert ids(await subject.exchange(slots=10)) == ["a1", "b1"]

    async def test_a_parked_job_counts_and_lists_as_waiting(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"))
        await subject.exchange(slots=2)
        await subject.enqueue("c")
        counts = await subject.run(CountJobs(task=TASK))
        assert (counts.waiting, counts.parked, counts.active) == (2, 1, 1)
        assert await subject.listed(JobState.WAITING) == ["c", "b"]
        assert await subject.state("b") is JobState.WAITING

    async def test_pages_go_on_among_the_parked(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"), keyed("c", "else"), keyed("d", "else"), keyed("e"))
        await subject.exchange(slots=5)
        await subject.enqueue("f", job("g", priority=1))
        every = ["g", "f", "d", "b", "e"]
        assert await subject.listed(JobState.WAITING) == every
        for offset in range(6):
            assert await subject.listed(JobState.WAITING, offset=offset, limit=2) == every[offset : offset + 2]

    async def test_blocked_jobs_hide_nobody(self, subject: Subject) -> None:
        await created(subject, *(keyed(f"b{number:02}") for number in range(30)))
        await created(subject, *(keyed(f"p{number:02}", priority=9) for number in range(30)))
        await subject.enqueue(job("urgent", priority=1), "plain")
        assert ids(await subject.exchange(slots=3)) == ["p00", "urgent", "plain"]
        assert len(parked(subject)) == 59

    async def test_blocked_jobs_are_tried_once_and_not_with_every_call(self, subject: Subject) -> None:
        await created(subject, *(keyed(f"j{number}") for number in range(9)))
        await subject.exchange(slots=1)
        before = await subject.events()
        await subject.exchange("T2", slots=1)
        for _ in range(3):
            assert ids(await subject.exchange("T2", slots=5)) == []
            assert subject.tricks.ids_by_place(TASK)["freed"] == []
        assert await subject.events() == before

    @pytest.mark.parametrize(
        "end", [completed, failed, cancelled, retrying, partial(retrying, delay_ms=50), released, declined]
    )
    async def test_every_end_of_an_attempt_gives_its_slot_to_the_next(self, subject: Subject, end: Any) -> None:
        await created(subject, keyed("a"), keyed("b"), keyed("c"))
        await subject.exchange("T", slots=3)
        assert ids(await subject.exchange("T2", slots=3, outcomes=[end("a")])) == ["b"]
        assert held(subject) == 1

    async def test_a_late_outcome_gives_nothing_back(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"))
        await subject.exchange("T", slots=2)
        reply = await subject.exchange("T2", slots=2, outcomes=[completed("a", token="other")])
        assert (reply.settlements, ids(reply), held(subject)) == ((Settlement.LOST,), [], 1)

    async def test_an_outcome_that_is_sent_again_gives_its_slot_back_once(self, subject: Subject) -> None:
        await created(subject, *(keyed(name, limit=2) for name in "abcd"))
        await subject.exchange("T", slots=4)
        assert ids(await subject.exchange("T2", slots=4, outcomes=[completed("a")])) == ["c"]
        reply = await subject.exchange("T2", slots=4, outcomes=[completed("a")], resend=True)
        assert (reply.settlements, ids(reply)) == ((Settlement.REPEATED,), ["c"])
        assert held(subject) == 2

    @pytest.mark.parametrize("priority", [0, -1])  # below 0 counts as none
    async def test_order_is_kept_within_a_key(self, subject: Subject, priority: int) -> None:
        names = [f"j{number}" for number in (7, 1, 9, 3)]
        await created(subject, *(keyed(name, priority=priority) for name in names))
        token, order = "T0", [*ids(await subject.exchange("T0", slots=9))]
        for turn in range(3):
            reply = await subject.exchange(f"T{turn + 1}", slots=9, outcomes=[completed(order[-1], token=token)])
            token = f"T{turn + 1}"
            order += ids(reply)
        assert order == names

    async def test_jobs_that_come_later_do_not_overtake_the_parked(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"))
        await subject.exchange("T", slots=2)
        await created(subject, keyed("c"))
        assert ids(await subject.exchange("T2", slots=1, outcomes=[completed("a")])) == ["b"]
        assert ids(await subject.exchange("T3", slots=1, outcomes=[completed("b", token="T2")])) == ["c"]

    async def test_order_is_kept_when_freed_jobs_are_blocked_again(self, subject: Subject) -> None:
        await created(subject, *(keyed(name, limit=2) for name in "abcdef"))
        await subject.exchange("T", slots=2)
        await subject.exchange("T", slots=1)
        assert parked(subject) == ["c", "d", "e", "f"]
        await subject.exchange("T2", slots=0, outcomes=[completed("a"), completed("b")])
        assert subject.tricks.ids_by_place(TASK)["freed"] == ["c", "d"]
        for _ in range(2):
            subject.tricks.hold_slot(TASK, "org")
        assert ids(await subject.exchange("T3", slots=5)) == []
        assert parked(subject) == ["c", "d", "e", "f"]
        for _ in range(2):
            subject.tricks.leave_slot(TASK, "org")
        assert ids(await subject.exchange("T4", slots=5)) == ["c", "d"]

    async def test_order_does_not_depend_on_the_clock(self, subject: Subject) -> None:
        await created(subject, *(keyed(name) for name in "abc"))
        await subject.exchange("T", slots=2)
        subject.advance(-50_000)
        await subject.exchange("T", slots=2)
        await created(subject, keyed("d"))
        await subject.exchange("T", slots=2)
        assert parked(subject) == ["b", "c", "d"]

    async def test_keys_take_turns(self, subject: Subject) -> None:
        await created(subject, *(keyed(f"{key}{turn}", key) for turn in range(3) for key in "xyz"))
        turns = [ids(await subject.exchange("T0", slots=9))]
        for turn in range(1, 3):
            ended = [completed(name, token=f"T{turn - 1}") for name in turns[-1]]
            turns.append(ids(await subject.exchange(f"T{turn}", slots=9, outcomes=ended)))
        assert turns == [["x0", "y0", "z0"], ["x1", "y1", "z1"], ["x2", "y2", "z2"]]

    async def test_a_busy_key_does_not_starve_jobs_without_one(self, subject: Subject) -> None:
        await created(subject, *(keyed(f"k{number}") for number in range(4)))
        await subject.enqueue("plain-1", "plain-2")
        assert ids(await subject.exchange("T", slots=2)) == ["k0", "plain-1"]
        assert ids(await subject.exchange("T2", slots=2, outcomes=[completed("k0")])) == ["k1", "plain-2"]

    async def test_priorities_stay_strict_among_parked_jobs(self, subject: Subject) -> None:
        await created(subject, keyed("first"), keyed("plain"), keyed("low", priority=1), keyed("high", priority=9))
        await subject.exchange("T", slots=1)
        assert await subject.state("high") is JobState.ACTIVE
        await subject.exchange("T2", slots=4)
        assert parked(subject) == ["low", "first", "plain"]
        await created(subject, keyed("urgent", priority=9))
        assert ids(await subject.exchange("T3", slots=1, outcomes=[completed("high")])) == ["urgent"]
        assert ids(await subject.exchange("T4", slots=1, outcomes=[completed("urgent", token="T3")])) == ["low"]

    async def test_older_jobs_of_a_priority_come_first_although_they_were_parked(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("old", priority=2))
        await subject.exchange("T", slots=2)
        assert await subject.state("old") is JobState.ACTIVE
        await created(subject, keyed("parked", priority=2))
        await subject.exchange("T2", slots=2)
        subject.advance(10)
        await created(subject, keyed("young", "other", priority=2))
        reply = await subject.exchange("T3", slots=1, outcomes=[completed("old")])
        assert ids(reply) == ["parked"]

    async def test_a_waiting_worker_hears_of_a_slot_that_was_given_back(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"))
        await subject.exchange("T", slots=2)
        await subject.exchange("T2", slots=0, outcomes=[completed("a")])
        assert subject.tricks.marker(TASK) == 0
        assert subject.tricks.ids_by_place(TASK)["freed"] == ["b"]

    async def test_a_slot_that_another_program_gave_back_is_found(self, subject: Subject) -> None:
        await created(subject, *(keyed(name, limit=2) for name in "abcd"))
        await subject.exchange("T", slots=4)
        subject.tricks.leave_slot(TASK, "org")
        subject.tricks.leave_slot(TASK, "org")
        assert ids(await subject.exchange("T2", slots=4)) == ["c", "d"]

    async def test_the_keys_that_were_not_looked_at_for_longest_are_looked_at(self, subject: Subject) -> None:
        await created(subject, *(keyed(f"{turn}{key}", key) for turn in range(2) for key in "pqrst"))
        await subject.exchange("T", slots=10)
        for key in "pqrst":
            subject.tricks.leave_slot(TASK, key)
        subject.advance(1)
        assert ids(await subject.exchange("T2", slots=10)) == ["1p", "1q", "1r"]
        subject.advance(1)
        assert ids(await subject.exchange("T3", slots=10)) == ["1s", "1t"]

    async def test_a_parked_job_can_be_cancelled(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"), keyed("c"))
        await subject.exchange("T", slots=3)
        await subject.run(Cancel(task=TASK, job_id="b"))
        assert (parked(subject), await subject.state("b")) == (["c"], JobState.CANCELLED)
        assert ids(await subject.exchange("T2", slots=3, outcomes=[completed("a")])) == ["c"]

    async def test_a_key_is_forgotten_with_its_last_parked_job(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"))
        await subject.exchange("T", slots=3)
        await subject.run(Cancel(task=TASK, job_id="b"))
        assert subject.tricks.flow(TASK)["keys"] == {}

    @pytest.mark.parametrize("priority", [0, 3])
    async def test_a_freed_job_that_is_cancelled_passes_its_chance_on(self, subject: Subject, priority: int) -> None:
        await created(
            subject, keyed("a", priority=priority), keyed("b", priority=priority), keyed("c", priority=priority)
        )
        await subject.exchange("T", slots=3)
        await subject.exchange("T2", outcomes=[completed("a")])
        await subject.run(Cancel(task=TASK, job_id="b"))
        assert subject.tricks.marker(TASK) == 0
        assert ids(await subject.exchange("T3", slots=3)) == ["c"]

    async def test_a_parked_job_expires_when_its_turn_comes_and_passes_its_chance_on(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b", ttl_ms=10), keyed("c", ttl_ms=10), keyed("d"))
        await subject.exchange("T", slots=4)
        subject.advance(10)
        assert parked(subject) == ["b", "c", "d"]
        assert ids(await subject.exchange("T2", slots=4, outcomes=[completed("a")])) == ["d"]
        assert await subject.listed(JobState.EXPIRED) == ["c", "b"]
        assert held(subject) == 1

    async def test_a_parked_job_whose_record_is_gone_passes_away(self, subject: Subject) -> None:
        await created(subject, *(keyed(name) for name in "abc"))
        await subject.exchange("T", slots=3)
        subject.tricks.lose_record(TASK, "b")
        await subject.exchange("T2", slots=3, outcomes=[completed("a")])
        assert ids(await subject.exchange("T3", slots=3)) == ["c"]
        assert parked(subject) == []

    async def test_a_parked_job_that_another_program_cancelled_never_runs(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"), keyed("c"))
        await subject.exchange("T", slots=3)
        subject.tricks.cancel_as_others_do(TASK, "b")
        assert ids(await subject.exchange("T2", slots=3, outcomes=[completed("a")])) == ["c"]

    async def test_the_worker_sets_the_limit_where_the_dispatch_did_not(self, subject: Subject) -> None:
        await created(subject, *(unlimited(name) for name in "abc"), keyed("d", limit=1))
        assert ids(await subject.exchange("T", slots=4, key_limit=2)) == ["a", "b"]
        assert (await subject.record("a")).fields["concurrencyLimit"] == b"1"

    async def test_without_anybody_who_sets_a_limit_it_is_one(self, subject: Subject) -> None:
        await created(subject, unlimited("a"), unlimited("b"))
        assert ids(await subject.exchange("T", slots=4)) == ["a"]

    async def test_a_higher_limit_of_the_worker_frees_all_that_may_run(self, subject: Subject) -> None:
        await created(subject, *(unlimited(f"j{number}") for number in range(6)))
        await subject.exchange("T", slots=6)
        assert ids(await subject.exchange("T2", slots=6, key_limit=4)) == ["j1", "j2", "j3"]

    async def test_a_dead_worker_gives_its_slot_back_with_its_job(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"))
        await subject.exchange("T", slots=2)
        await subject.run(SWEEP)
        subject.tricks.lose_lease(TASK, "a")
        assert (await subject.run(SWEEP)).recovered == ("a",)
        assert ids(await subject.exchange("T2", slots=2)) == ["b"]
        assert (held(subject), parked(subject)) == (1, ["a"])

    async def test_a_job_that_is_deleted_while_it_runs_holds_its_slot_until_the_next_sweep(
        self, subject: Subject
    ) -> None:
        await created(subject, keyed("a"), keyed("b"))
        await subject.exchange("T", slots=2)
        subject.tricks.lose_record(TASK, "a")
        assert ids(await subject.exchange("T2", slots=2, outcomes=[completed("a")])) == []
        await subject.run(SWEEP)
        assert ids(await subject.exchange("T3", slots=2)) == ["b"]
        assert held(subject) == 1

    @pytest.mark.parametrize("surplus", [1, 3])
    async def test_a_sweep_counts_the_slots_anew(self, subject: Subject, surplus: int) -> None:
        await created(subject, *(keyed(name, limit=3) for name in "abcd"))
        await subject.exchange("T", slots=2)
        for _ in range(surplus):
            subject.tricks.hold_slot(TASK, "org")
        await subject.run(SWEEP)
        assert held(subject) == 2
        assert ids(await subject.exchange("T2", slots=2)) == ["c"]

    async def test_a_sweep_counts_slots_that_were_given_back_twice(self, subject: Subject) -> None:
        await created(subject, *(keyed(name, limit=2) for name in "abc"))
        await subject.exchange("T", slots=2)
        subject.tricks.leave_slot(TASK, "org")
        await subject.run(SWEEP)
        assert held(subject) == 2
        assert ids(await subject.exchange("T2", slots=2)) == []

    async def test_slots_are_counted_when_nobody_has_done_so_for_a_while(self, subject: Subject) -> None:
        await created(subject, keyed("a", limit=9))
        await subject.exchange("T", slots=1)
        for _ in range(3):
            subject.tricks.hold_slot(TASK, "org")
            await subject.run(replace(SWEEP, count_every_ms=1000))
            assert held(subject) == 1
            subject.advance(1000)

    async def test_a_sweep_wakes_a_key_that_nothing_holds(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"))
        subject.tricks.hold_slot(TASK, "org")
        await subject.exchange("T", slots=2)
        subject.tricks.leave_slot(TASK, "org")
        await subject.run(SWEEP)
        assert subject.tricks.marker(TASK) == 0
        assert subject.tricks.ids_by_place(TASK)["freed"] == ["a"]

    async def test_a_dispatch_that_is_sent_again_makes_one_job(self, subject: Subject) -> None:
        await created(subject, keyed("a"))
        assert await dispatch(subject, keyed("a"), resend=True) == ["created a"]
        assert await dispatch(subject, keyed("a")) == ["taken a"]
        assert await subject.listed(JobState.WAITING) == ["a"]

    async def test_a_due_job_takes_its_slot_when_it_starts(self, subject: Subject) -> None:
        delayed = ControlledJob(job=job("later", delay_ms=10), concurrency_key="org", concurrency_limit=1)
        await created(subject, delayed, keyed("now"))
        assert ids(await subject.exchange("T", slots=2)) == ["now"]
        subject.advance(10)
        assert ids(await subject.exchange("T2", slots=2)) == []
        assert parked(subject) == ["later"]
        assert (await subject.record("later")).timestamp_ms == subject.start_ms

    async def test_the_oldest_job_that_may_start_tells_the_age(self, subject: Subject) -> None:
        await created(subject, keyed("a"), keyed("b"))
        await subject.exchange("T", slots=2)
        subject.advance(10)
        assert (await subject.run(CountJobs(task=TASK))).oldest_waiting_age_ms is None
        await subject.exchange("T2", outcomes=[completed("a")])
        assert (await subject.run(CountJobs(task=TASK))).oldest_waiting_age_ms == 10
