"""Whatever becomes of two exchanges, in whatever order: every outcome is stored once, no job runs twice."""

import asyncio
import zlib
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from packages.worker.tests.by_hand import Asked, no_pause, settle_down, working
from taskora.contracts import JobState
from taskora.wire import Cancel, CancelReply, Exchange, ReadJob
from taskora.worker import _lane, _turns

SLOTS = 16
WORTHWHILE = 6
LEAST_BEFORE_STOP = 12
MOST_REFUSALS = 4  # one more, and an outcome may be given up
NUMBERS = st.integers(0, 30)


class Orders(RuleBasedStateMachine):
    """A lane of two round trips, its handlers, and a storage that answers when, and as, it is told to."""

    slots = SLOTS
    prefetch = 0

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.lane, self.desk, self.handlers, self.working = self.do(
            self.stack.enter_async_context(working(self.slots, prefetch=self.prefetch))
        )
        self.enqueued: list[str] = []
        self.cancelled: set[str] = set()
        # A job that was declined may be settled once more by the same claim: as cancelled, if somebody asked for that.
        self.stored: Counter[tuple[str, str, str]] = Counter()
        self.troubled: set[str] = set()  # tokens of exchanges that failed, and go again
        self.checked = 0
        self.refusals = 0

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def pick(self, number: int) -> int:
        return number % len(self.desk.asked)

    @rule(count=st.integers(1, 40))
    def enqueue(self, count: int) -> None:
        new = [f"j{len(self.enqueued) + n}" for n in range(count)]
        self.enqueued += new
        self.do(self.desk.enqueue(*new))
        self.do(self.desk.ring())

    @rule()
    def ring(self) -> None:
        self.do(self.desk.ring())

    @precondition(lambda self: self.desk.asked)
    @rule(number=NUMBERS)
    def reply(self, number: int) -> None:
        self.reply_to(self.desk.asked[self.pick(number)])

    def reply_to(self, asked: Asked) -> None:
        for outcome in asked.operation.outcomes:
            self.stored[outcome.job_id, outcome.token, outcome.kind] += 1
        self.troubled.discard(asked.operation.token)
        self.do(self.desk.reply(self.desk.asked.index(asked)))

    @precondition(lambda self: self.desk.asked)
    @rule(number=NUMBERS)
    def lose_reply(self, number: int) -> None:
        number = self.pick(number)
        self.troubled.add(self.desk.asked[number].operation.token)
        self.do(self.desk.lose_reply(number))

    @precondition(lambda self: self.desk.asked)
    @rule(number=NUMBERS)
    def fail(self, number: int) -> None:
        number = self.pick(number)
        self.troubled.add(self.desk.asked[number].operation.token)
        self.do(self.desk.fail(number))

    @precondition(lambda self: self.desk.asked and self.refusals < MOST_REFUSALS)
    @rule(number=NUMBERS)
    def refuse(self, number: int) -> None:
        number = self.pick(number)
        operation = self.desk.asked[number].operation
        if operation.token in self.troubled:
            return  # it may have been carried out
        self.refusals += 1
        self.do(self.desk.fail(number, for_good=True))

    @precondition(lambda self: self.handlers.running)
    @rule(count=st.integers(1, SLOTS))
    def end(self, count: int) -> None:
        self.do(self.handlers.end(count))

    @precondition(lambda self: self.enqueued)
    @rule(number=NUMBERS)
    def cancel(self, number: int) -> None:
        job_id = self.enqueued[-1 - number % len(self.enqueued)]
        self.do(self.cancelling(job_id))

    async def cancelling(self, job_id: str) -> None:
        started = job_id in self.handlers.started
        reply = await self.desk.inner.run(Cancel(task="double", job_id=job_id))
        if reply in {CancelReply.CANCELLED, CancelReply.REQUESTED} and not started:
            self.cancelled.add(job_id)
        self.lane.attempts.cancel(job_id)
        await settle_down()

    @precondition(lambda self: len(self.desk.history) > LEAST_BEFORE_STOP)
    @rule()
    def stop(self) -> None:
        self.do(self.stopping())

    async def stopping(self) -> None:
        self.lane.stop_claiming()
        await settle_down()

    @invariant()
    def no_more_jobs_are_here_or_on_their_way_than_there_are_slots(self) -> None:
        attempts = self.lane.attempts
        on_their_way = sum(asked.operation.slots for asked in self.desk.asked)
        assert attempts.running == len(self.handlers.running) <= self.slots
        assert attempts.running == self.slots or not attempts.waiting
        assert attempts.running + len(attempts.waiting) + on_their_way <= self.slots + self.prefetch

    @invariant()
    def every_outcome_is_in_one_exchange_until_it_is_stored(self) -> None:
        assert len(self.desk.asked) <= 2
        under_way = [outcome for asked in self.desk.asked for outcome in asked.operation.outcomes]
        assert len(under_way) == len({(outcome.job_id, outcome.token) for outcome in under_way})
        assert self.stored.keys().isdisjoint((outcome.job_id, outcome.token, outcome.kind) for outcome in under_way)

    @invariant()
    def an_exchange_is_repeated_as_it_was(self) -> None:
        first: dict[str, Exchange] = {}
        for operation in self.desk.history:
            if first.setdefault(operation.token, operation) is not operation:
                assert operation == first[operation.token].again()

    @invariant()
    def the_second_leaves_only_well_filled_and_without_trouble(self) -> None:
        known = {operation.token for operation in self.desk.history[: self.checked]}
        self.checked = len(self.desk.history)
        if len(self.desk.asked) == 2 and (new := self.desk.asked[1].operation).token not in known:
            assert min(len(new.outcomes), new.slots) >= WORTHWHILE
            assert not new.resend
            assert self.desk.asked[0].operation.token not in self.troubled

    @invariant()
    def no_job_runs_twice_or_after_it_was_cancelled(self) -> None:
        assert len(self.handlers.started) == len(set(self.handlers.started))
        assert self.cancelled.isdisjoint(self.handlers.started)

    @invariant()
    def it_goes_on(self) -> None:
        assert not self.working.done() or self.lane._stopping

    def teardown(self) -> None:
        try:
            self.do(self.stopping())
            for _ in range(300):
                if self.working.done():
                    break
                self.do(self.handlers.end())
                for asked in self.desk.asked[:1]:
                    self.reply_to(asked)
            self.do(self.working)
            self.all_is_settled()
        finally:
            self.do(self.stack.aclose())
            self.loop.close()

    def all_is_settled(self) -> None:
        attempts = self.lane.attempts
        assert [*attempts._attempts, *attempts._cancelled_early] == []
        records = {
            job_id: self.do(self.desk.inner.run(ReadJob(task="double", job_id=job_id))) for job_id in self.enqueued
        }
        states = Counter(record.status.state for record in records.values())
        assert set(states) <= {JobState.COMPLETED, JobState.CANCELLED, JobState.WAITING}
        for job_id in self.handlers.started:
            assert records[job_id].status.state is not JobState.WAITING
        for job_id in self.cancelled:
            assert records[job_id].status.state is JobState.CANCELLED


class OrdersOfTurns(Orders):
    """A lane of few slots, which claims jobs ahead of their turn."""

    slots = 2
    prefetch = 3

    @precondition(lambda self: self.lane.attempts.waiting)
    @rule()
    def wait_too_long(self) -> None:
        self.do(self.losing_patience())

    async def losing_patience(self) -> None:
        self.lane.attempts.decline_waiting()
        await settle_down()


@pytest.mark.parametrize("orders", [Orders, OrdersOfTurns])
def test_every_outcome_is_stored_once_whatever_becomes_of_exchanges(
    monkeypatch: pytest.MonkeyPatch, orders: type[Orders]
) -> None:
    monkeypatch.setattr(_lane, "pause_after", no_pause)
    monkeypatch.setattr(_lane, "_LAST_TRIES", 1000)
    monkeypatch.setattr(_turns, "LONGEST_WAIT_MS", 600_000)
    run_state_machine_as_test(
        seed(zlib.crc32(b"round trips"))(orders),
        settings=settings(
            max_examples=100,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
