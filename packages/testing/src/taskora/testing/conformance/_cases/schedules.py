"""Who leads, what is due, what is stored of schedules, and runs that are dispatched once."""

import pytest

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._clock import MINUTE_MS
from taskora.testing.conformance._subject import TASK, Subject, completed, failed, retrying
from taskora.wire import (
    ClaimDue,
    ClaimedDue,
    Dispatched,
    DispatchOccurrences,
    DueTimes,
    Expected,
    Lead,
    Occurrence,
    Prune,
    ReadDue,
    ReadSchedules,
    ScanSchedules,
    SchedulePage,
    SetDue,
    StepDown,
    WithdrawClaim,
    WriteSchedule,
)

CLAIM = ClaimDue(lease_ms=MINUTE_MS)


def setting(name: str, due_ms: int | None, expected: Expected = "any") -> SetDue:
    return SetDue(name=name, expected=expected, due_ms=due_ms)


def dispatching(subject: Subject, *job_ids: str, overlap: bool = True, last: str = "", left_ms: int = 0,
                delay_ms: int = 0) -> DispatchOccurrences:  # fmt: skip
    jobs = [Occurrence(job_id=job_id, data=b"1", delay_ms=delay_ms) for job_id in job_ids]
    return DispatchOccurrences(
        task=TASK,
        schedule="s",
        version=3,
        max_attempts=2,
        claimed_until_ms=subject.now_ms() + left_ms,
        overlap=overlap,
        last_job_id=last,
        jobs=jobs,
    )


class TestSchedules(Cases):
    """Who leads, what is due, what is stored of schedules, and runs that are dispatched once."""

    async def test_one_scheduler_leads_while_it_asks_in_time(self, subject: Subject) -> None:
        mine, other = Lead(token="a", ttl_ms=MINUTE_MS), Lead(token="b", ttl_ms=MINUTE_MS)
        assert [await subject.run(mine), await subject.run(other), await subject.run(mine)] == [True, False, True]
        subject.advance(MINUTE_MS // 2)
        assert [await subject.run(mine), await subject.run(other)] == [True, False]
        subject.advance(MINUTE_MS)
        assert [await subject.run(other), await subject.run(mine)] == [True, False]

    async def test_a_leader_that_steps_down_is_followed_at_once(self, subject: Subject) -> None:
        await subject.run(Lead(token="a", ttl_ms=MINUTE_MS))
        assert not await subject.run(StepDown(token="b"))
        assert not await subject.run(Lead(token="b", ttl_ms=MINUTE_MS))
        assert await subject.run(StepDown(token="a"))
        assert not await subject.run(StepDown(token="a"))
        assert await subject.run(Lead(token="b", ttl_ms=MINUTE_MS))

    async def test_what_is_due_is_claimed_earliest_first_and_due_again_when_the_claim_ends(
        self, subject: Subject
    ) -> None:
        start_ms = subject.start_ms
        for name, due_ms in [("late", start_ms + 1), ("b", start_ms), ("a", start_ms - 500)]:
            assert await subject.run(setting(name, due_ms))
        first = await subject.run(CLAIM)
        assert first == ClaimedDue(now_ms=start_ms, next_ms=start_ms + 1, due={"a": start_ms - 500, "b": start_ms})
        assert [*first.due] == ["a", "b"]
        assert (await subject.run(CLAIM)).due == {}
        subject.advance(MINUTE_MS)
        again = await subject.run(CLAIM)
        assert again.due == {"late": start_ms + 1, "a": start_ms + MINUTE_MS, "b": start_ms + MINUTE_MS}

    async def test_a_claim_is_no_larger_than_asked(self, subject: Subject) -> None:
        for name in "abc":
            await subject.run(setting(name, subject.start_ms))
        claimed = await subject.run(ClaimDue(lease_ms=MINUTE_MS, limit=2))
        assert ([*claimed.due], claimed.next_ms) == (["a", "b"], subject.start_ms)
        assert [*(await subject.run(CLAIM)).due] == ["c"]

    async def test_nothing_is_due_where_nothing_is_planned(self, subject: Subject) -> None:
        assert await subject.run(CLAIM) == ClaimedDue(now_ms=subject.start_ms, next_ms=None, due={})
        assert await subject.run(ReadDue()) == DueTimes(now_ms=subject.start_ms, earliest_ms=None, due={})
        assert await subject.run(ReadDue(names=["s"])) == DueTimes(now_ms=subject.start_ms, earliest_ms=None, due={})
        assert await subject.run(ReadSchedules(names=[])) == {}
        assert await subject.run(ScanSchedules()) == SchedulePage(cursor="0", records={})

    async def test_a_due_time_is_set_if_it_is_what_was_expected(self, subject: Subject) -> None:
        assert not await subject.run(setting("s", 7, expected=5))
        assert await subject.run(setting("s", 7, expected="none"))
        assert not await subject.run(setting("s", 8, expected="none"))
        assert await subject.run(setting("s", 7, expected=3))  # it is so already
        assert await subject.run(setting("s", 9, expected=7))
        assert await subject.run(setting("t", 8))
        found = await subject.run(ReadDue(names=["s", "nobody"]))
        assert (found.earliest_ms, found.due) == (8, {"s": 9})
        assert await subject.run(setting("t", None))
        assert not await subject.run(setting("s", None, expected=7))
        assert await subject.run(setting("s", None, expected=9))
        assert await subject.run(setting("s", None, expected=9))
        assert (await subject.run(ReadDue(names=["s"]))).due == {}
        assert await subject.run(setting("s", 4))

    async def test_a_record_is_replaced_if_it_is_what_was_read(self, subject: Subject) -> None:
        assert not await subject.run(WriteSchedule(name="s", expected=b"old", record=b"new"))
        assert await subject.run(WriteSchedule(name="s", expected=None, record=b"1"))
        assert await subject.run(WriteSchedule(name="s", expected=None, record=b"1"))  # it is so already
        assert not await subject.run(WriteSchedule(name="s", expected=None, record=b"2"))
        assert await subject.run(WriteSchedule(name="s", expected=b"1", record=b"2"))
        assert await subject.run(WriteSchedule(name="t", expected=None, record=b"\xff"))
        assert (await subject.run(ScanSchedules())).records == {"s": b"2", "t": b"\xff"}
        assert await subject.run(ReadSchedules(names=["t", "nobody"])) == {"t": b"\xff"}
        assert not await subject.run(WriteSchedule(name="s", expected=b"1", record=None))
        assert await subject.run(WriteSchedule(name="s", expected=b"2", record=None))
        assert await subject.run(WriteSchedule(name="s", expected=b"2", record=None))
        assert (await subject.run(ScanSchedules())).records == {"t": b"\xff"}

    async def test_runs_become_jobs_once(self, subject: Subject) -> None:
        assert await subject.run(dispatching(subject, "a", "b")) is Dispatched.DONE
        assert await subject.run(dispatching(subject, "a", "b", "c").again()) is Dispatched.DONE
        assert await subject.listed(JobState.WAITING) == ["a", "b", "c"]
        record = await subject.record("a")
        assert (record.version, record.max_attempts, record.data, record.priority) == (3, 2, b"1", 0)
        assert subject.tricks.marker(TASK) == 0

    async def test_a_run_is_not_dispatched_again_although_its_job_is_gone(self, subject: Subject) -> None:
        await subject.run(dispatching(subject, "a"))
        await subject.exchange(slots=1)
        await subject.settle(completed("a"))
        await subject.run(Prune(task=TASK, state=JobState.COMPLETED, max_age_ms=None, max_items=0))
        assert await subject.run(dispatching(subject, "a", overlap=False)) is Dispatched.DONE
        assert await subject.state("a") is None

    async def test_a_job_of_that_id_that_somebody_else_made_is_left_alone(self, subject: Subject) -> None:
        await subject.enqueue("a")
        assert await subject.run(dispatching(subject, "a")) is Dispatched.DONE
        assert (await subject.record("a")).version == 1
        assert await subject.listed(JobState.WAITING) == ["a"]

    async def test_a_run_may_start_later(self, subject: Subject) -> None:
        await subject.run(dispatching(subject, "a", delay_ms=500))
        assert await subject.state("a") is JobState.DELAYED
        assert subject.tricks.marker(TASK) == subject.start_ms + 500

    async def test_nothing_is_dispatched_when_the_claim_is_over(self, subject: Subject) -> None:
        late = dispatching(subject, "a", left_ms=MINUTE_MS)
        subject.advance(MINUTE_MS)
        assert await subject.run(late) is Dispatched.DONE
        late = dispatching(subject, "b", left_ms=-1)
        assert await subject.run(late) is Dispatched.CLAIM_OVER
        assert await subject.listed(JobState.WAITING) == ["a"]

    async def test_nothing_is_dispatched_when_the_claim_is_withdrawn(self, subject: Subject) -> None:
        until_ms = subject.start_ms + MINUTE_MS
        withdrawal = WithdrawClaim(task=TASK, schedule="s", claimed_until_ms=until_ms)
        assert await subject.run(withdrawal)
        assert await subject.run(withdrawal.again())
        assert await subject.run(dispatching(subject, "a", left_ms=MINUTE_MS)) is Dispatched.CLAIM_OVER
        assert await subject.run(dispatching(subject, "b", left_ms=MINUTE_MS - 1)) is Dispatched.DONE
        assert await subject.run(dispatching(subject, "c", left_ms=MINUTE_MS + 1)) is Dispatched.DONE
        assert await subject.listed(JobState.WAITING) == ["b", "c"]

    async def test_a_claim_that_is_over_needs_no_withdrawal(self, subject: Subject) -> None:
        withdrawal = WithdrawClaim(task=TASK, schedule="s", claimed_until_ms=subject.start_ms)
        assert await subject.run(withdrawal)
        subject.advance(1)
        assert not await subject.run(withdrawal)

    async def test_all_records_are_found_page_by_page(self, subject: Subject) -> None:
        names = {f"s{number}" for number in range(700)}
        for name in names:
            assert await subject.run(WriteSchedule(name=name, expected=None, record=b"1"))
        page = await subject.run(ScanSchedules(limit=100))
        found = [*page.records]
        while page.cursor != "0":
            page = await subject.run(ScanSchedules(cursor=page.cursor, limit=100))
            found += page.records
        assert set(found) == names

    @pytest.mark.parametrize("outcome", [None, retrying])
    async def test_a_run_waits_for_the_end_of_the_one_before(self, subject: Subject, outcome: object) -> None:
        await subject.run(dispatching(subject, "a", overlap=False))
        assert await subject.run(dispatching(subject, "b", overlap=False)) is Dispatched.UNDER_WAY
        await subject.exchange(slots=1)
        assert await subject.run(dispatching(subject, "b", overlap=False)) is Dispatched.UNDER_WAY
        if outcome is not None:
            await subject.settle(retrying("a", delay_ms=MINUTE_MS))
            assert await subject.run(dispatching(subject, "b", overlap=False)) is Dispatched.UNDER_WAY
            subject.advance(MINUTE_MS)
            await subject.exchange("T2", slots=1)
        await subject.settle(failed("a", token="T" if outcome is None else "T2"))
        assert await subject.run(dispatching(subject, "b", overlap=False)) is Dispatched.DONE
        assert await subject.listed(JobState.WAITING) == ["b"]

    async def test_so_it_does_for_a_run_that_others_dispatched_and_for_one_that_is_delayed(
        self, subject: Subject
    ) -> None:
        await subject.enqueue("theirs")
        assert await subject.run(dispatching(subject, "a", overlap=False, last="theirs")) is Dispatched.UNDER_WAY
        assert await subject.run(dispatching(subject, "a", overlap=False, last="gone", delay_ms=5)) is Dispatched.DONE
        assert await subject.run(dispatching(subject, "b", overlap=False)) is Dispatched.UNDER_WAY
        assert await subject.run(dispatching(subject, "b", overlap=True)) is Dispatched.DONE

    async def test_the_newest_thousand_runs_are_remembered_for_ninety_days(self, subject: Subject) -> None:
        names = [f"r{number}" for number in range(1001)]
        for start in range(0, 1001, 91):
            await subject.run(dispatching(subject, *names[start : start + 91]))
        await subject.exchange(slots=1001)
        await subject.settle(*(completed(name) for name in names))
        await subject.run(Prune(task=TASK, state=JobState.COMPLETED, max_age_ms=None, max_items=0, limit=2000))
        await subject.run(dispatching(subject, "r0", "r1"))
        assert await subject.listed(JobState.WAITING) == ["r0"]
        subject.advance(90 * 24 * 60 * MINUTE_MS)
        await subject.run(dispatching(subject, "r1000"))
        assert await subject.listed(JobState.WAITING) == ["r0", "r1000"]
