"""Lanes of many slots have two exchanges under way, if there is enough for both."""

import asyncio
from dataclasses import replace

import pytest

from packages.worker.tests.by_hand import Desk, Handlers, no_pause, settle_down, working
from taskora.contracts import JobState, Retry
from taskora.wire import Cancel, Exchange, OutcomeKind, ReadJob
from taskora.worker import _lane
from taskora.worker._lane import Lane
from tests.polling import aeventually

MANY = 32
HALF = 16
ENOUGH = 12


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lane, "pause_after", no_pause)


def sizes(desk: Desk) -> list[tuple[int, int]]:
    """What is under way: outcomes, and slots that are asked for."""
    return [(len(asked.operation.outcomes), asked.operation.slots) for asked in desk.asked]


async def both_under_way(desk: Desk, handlers: Handlers) -> None:
    """Brings a lane of many slots with a backlog to where two exchanges are under way, both full."""
    await desk.reply()
    await desk.reply()
    assert len(handlers.running) == MANY
    await handlers.end(HALF)
    await handlers.end(HALF)
    assert sizes(desk) == [(HALF, HALF), (HALF, HALF)]


async def until_it_ends(lane: Lane, desk: Desk, handlers: Handlers, running: "asyncio.Task[None]") -> None:
    """Answers whatever comes until the lane has ended, after it was told to."""
    lane.stop_claiming()
    await settle_down()
    for _ in range(20):
        await handlers.end()
        if desk.asked:
            await desk.reply()
    await running


def claimed_twice(desk: Desk) -> list[str]:
    """Tokens of exchanges that differ from an earlier one with the same token in more than that they are repeated."""
    first: dict[str, Exchange] = {}
    return [
        operation.token
        for operation in desk.history
        if first.setdefault(operation.token, operation) is not operation and first[operation.token].again() != operation
    ]


async def test_the_second_leaves_before_the_first_is_answered() -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        assert sizes(desk) == [(0, HALF)]
        await desk.reply()
        assert sizes(desk) == [(0, HALF)]  # the other half of the slots
        await handlers.end()
        assert sizes(desk) == [(0, HALF), (HALF, HALF)]
        await desk.reply()
        await handlers.end()
        assert sizes(desk) == [(HALF, HALF), (HALF, HALF)]
        await until_it_ends(lane, desk, handlers, running)


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (HALF + ENOUGH - 1, [(HALF + ENOUGH - 1, HALF)]),
        (HALF + ENOUGH, [(HALF, HALF), (ENOUGH, ENOUGH)]),
        (MANY, [(HALF, HALF), (HALF, HALF)]),
    ],
)
async def test_what_ends_together_and_is_enough_for_two_leaves_in_two(
    ended: int, expected: list[tuple[int, int]]
) -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        await desk.reply()
        await desk.reply()
        await handlers.end(ended)
        assert sizes(desk) == expected
        await until_it_ends(lane, desk, handlers, running)


async def test_few_outcomes_wait_for_the_reply() -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        await desk.reply()
        await desk.reply()
        await handlers.end(1)
        assert sizes(desk) == [(1, 1)]
        for _ in range(ENOUGH - 1):
            await handlers.end(1)
        assert sizes(desk) == [(1, 1)]
        await desk.reply()
        assert sizes(desk) == [(ENOUGH - 1, ENOUGH - 1)]
        await until_it_ends(lane, desk, handlers, running)


async def test_a_lane_of_few_slots_has_one_under_way() -> None:
    async with working(15, jobs=200) as (lane, desk, handlers, running):
        await desk.reply()
        await handlers.end(1)
        await handlers.end()
        assert sizes(desk) == [(1, 1)]
        await desk.reply()
        assert sizes(desk) == [(14, 14)]
        await until_it_ends(lane, desk, handlers, running)


async def test_no_more_jobs_are_asked_for_than_there_are_slots_beside_those_that_are_on_their_way() -> None:
    async with working(MANY + 1, jobs=200) as (lane, desk, handlers, running):
        for _ in range(3):
            await desk.reply()
        await handlers.end(10)
        await handlers.end(20)
        assert sizes(desk) == [(10, 10), (20, HALF)]
        assert lane.free_slots() == MANY + 1 - 3 - 10 - HALF
        await desk.reply(1)
        await desk.reply()
        assert len(handlers.running) == 3 + 10 + HALF
        await until_it_ends(lane, desk, handlers, running)


@pytest.mark.parametrize("order", [(0, 0), (1, 0)], ids=["first before second", "second before first"])
@pytest.mark.parametrize("lost", [False, True], ids=["not sent", "reply lost"])
async def test_both_fail_and_are_sent_again_as_they_are(order: tuple[int, int], lost: bool) -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        await both_under_way(desk, handlers)
        sent = {asked.operation.token for asked in desk.asked}
        for number in order:
            await (desk.lose_reply(number) if lost else desk.fail(number))
            if len(desk.asked) > number:  # it was sent again at once: that waits
                desk.asked.append(desk.asked.pop())
        assert {asked.operation.token for asked in desk.asked} == sent
        assert all(asked.operation.resend for asked in desk.asked)
        assert claimed_twice(desk) == []
        await desk.reply()
        await desk.reply()
        assert len(handlers.running) == MANY
        await until_it_ends(lane, desk, handlers, running)
        counts = await desk.counts()
    assert (counts.completed, counts.active, counts.failed) == (2 * MANY, 0, 0)
    assert len(handlers.started) == len(set(handlers.started)) == 2 * MANY


@pytest.mark.parametrize("failing", [0, 1], ids=["the first", "the second"])
async def test_while_one_fails_no_other_one_is_begun(failing: int) -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        await both_under_way(desk, handlers)
        token = desk.asked[failing].operation.token
        await desk.fail(failing)
        await desk.reply([asked.operation.token != token for asked in desk.asked].index(True))
        await handlers.end()
        for _ in range(3):
            assert [asked.operation.token for asked in desk.asked] == [token]
            await desk.fail()
        await desk.reply()
        assert sizes(desk) == [(HALF, HALF)]
        assert desk.asked[0].operation.token != token
        await until_it_ends(lane, desk, handlers, running)


async def test_what_has_gathered_while_one_failed_leaves_in_two() -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        await desk.reply()
        await desk.reply()
        await handlers.end(1)
        await desk.fail()
        await handlers.end()
        assert sizes(desk) == [(1, 1)]
        await desk.reply()
        assert sizes(desk) == [(HALF, HALF), (HALF - 1, HALF - 1)]
        await until_it_ends(lane, desk, handlers, running)


async def test_what_is_refused_for_good_while_another_one_is_under_way_leaves_in_parts_and_alone() -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        await both_under_way(desk, handlers)
        refused = {outcome.job_id for outcome in desk.asked[0].operation.outcomes}
        await desk.fail(0, for_good=True)
        await desk.reply()
        await handlers.end()
        assert sizes(desk) == [(HALF // 2, 0)]
        assert desk.asked[0].operation.resend
        assert {outcome.job_id for outcome in desk.asked[0].operation.outcomes} < refused
        await until_it_ends(lane, desk, handlers, running)
        counts = await desk.counts()
    assert (counts.active, counts.failed) == (0, 0)


async def test_an_outcome_is_given_up_after_its_own_refusals_whatever_is_stored_meanwhile(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with working(MANY, jobs=MANY) as (lane, desk, handlers, running):
        await desk.reply()
        await desk.reply()
        await handlers.end(1)
        bad = desk.asked[0].operation.outcomes[0].job_id
        await handlers.end()
        for _ in range(100):
            if "outcome_given_up" in caplog.messages:
                break
            has_bad = bad in {outcome.job_id for outcome in desk.asked[0].operation.outcomes}
            await (desk.fail(for_good=True) if has_bad else desk.reply())
        alone = [operation for operation in desk.history if [item.job_id for item in operation.outcomes] == [bad]]
        assert len(alone) == 5
        await until_it_ends(lane, desk, handlers, running)
        counts = await desk.counts()
    assert (counts.completed, counts.active) == (MANY - 1, 1)


async def test_what_two_exchanges_bring_after_the_worker_was_told_to_stop_goes_back() -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        await both_under_way(desk, handlers)
        lane.stop_claiming()
        await desk.reply(1)
        await desk.reply(0)
        assert handlers.running == {}
        while desk.asked:
            assert len(desk.asked) == 1
            await desk.reply()
        await running
        declined = [outcome for operation in desk.history for outcome in operation.outcomes]
        assert [outcome.kind for outcome in declined].count(OutcomeKind.DECLINED) == MANY
        counts = await desk.counts()
    assert (counts.completed, counts.active, counts.waiting) == (MANY, 0, 200 - MANY)


async def test_a_lane_that_stops_gives_up_when_both_go_on_to_fail(caplog: pytest.LogCaptureFixture) -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        await both_under_way(desk, handlers)
        lane.stop_claiming()
        tries = 0
        while desk.asked:
            tries += 1
            await desk.fail()
        await running
    assert tries == 2 * (_lane._LAST_TRIES + 1)  # as many each as if it were alone
    assert caplog.messages.count("lane_gave_up") == 1


@pytest.mark.parametrize("lost", [False, True], ids=["not sent", "reply lost"])
async def test_what_was_given_up_is_sent_after_all_if_the_other_one_gets_through(
    lost: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        await both_under_way(desk, handlers)
        lane.stop_claiming()
        failing, other = (asked.operation.token for asked in desk.asked)

        def place(token: str) -> int:
            return [asked.operation.token for asked in desk.asked].index(token)

        while len(desk.asked) == 2:
            await (desk.lose_reply(place(failing)) if lost else desk.fail(place(failing)))
        assert not running.done()
        await desk.reply(place(other))
        assert [asked.operation.token for asked in desk.asked] == [failing]
        while desk.asked:
            await desk.reply()
        await aeventually(running.done)
        assert claimed_twice(desk) == []
        counts = await desk.counts()
    assert (counts.completed, counts.active, counts.waiting) == (MANY, 0, 200 - MANY)
    assert "lane_gave_up" not in caplog.messages


@pytest.mark.parametrize("order", [(0, 0), (1, 0)], ids=["in order", "the second first"])
async def test_a_job_that_is_cancelled_before_any_of_two_claims_is_known_never_starts(order: tuple[int, int]) -> None:
    async with working(MANY, jobs=2 * MANY) as (lane, desk, handlers, running):
        await both_under_way(desk, handlers)
        cancelled = {str(MANY), str(2 * MANY - 1)}  # the first claim of one, and the last of the other
        replies = [await desk.inner.run(asked.operation) for asked in desk.asked]
        assert cancelled <= {claim.job_id for reply in replies for claim in reply.claims}
        for job_id in cancelled:
            await desk.inner.run(Cancel(task="double", job_id=job_id))
            lane.attempts.cancel(job_id)
        for number in order:
            desk.asked.pop(number).answer.set_result(replies.pop(number))
            await settle_down()
        assert cancelled.isdisjoint(handlers.started)
        await until_it_ends(lane, desk, handlers, running)
        records = [await desk.inner.run(ReadJob(task="double", job_id=job_id)) for job_id in cancelled]
        assert [record and record.status.state for record in records] == [JobState.CANCELLED] * 2
        assert lane.attempts._cancelled_early == {}


async def test_a_job_that_is_cancelled_after_the_exchange_that_gave_it_back_has_claimed_it_never_starts_again() -> None:
    async with working(1, jobs=1, retry=Retry(attempts=2, delay=0)) as (lane, desk, handlers, running):
        await desk.reply()
        handlers.running["0"].set_exception(KeyError("once"))
        await settle_down()
        asked = desk.asked.pop()
        reply = await desk.inner.run(asked.operation)
        assert [claim.attempt for claim in reply.claims] == [2]
        await desk.inner.run(Cancel(task="double", job_id="0"))
        lane.attempts.cancel("0")
        asked.answer.set_result(reply)
        await settle_down()
        assert handlers.started == ["0"]
        await until_it_ends(lane, desk, handlers, running)
        record = await desk.inner.run(ReadJob(task="double", job_id="0"))
    assert record
    assert record.status.state is JobState.CANCELLED


async def test_the_reply_to_the_later_request_says_what_time_it_is_and_what_is_due() -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        await both_under_way(desk, handlers)
        first, second = desk.asked
        replies = [await desk.inner.run(asked.operation) for asked in (first, second)]
        desk.asked.clear()
        for asked, reply, due_ms in [(second, replies[1], 2_000), (first, replies[0], 1_000)]:
            asked.answer.set_result(replace(reply, due_ms=due_ms))
            await settle_down()
        assert lane._due_ms == 2_000
        await until_it_ends(lane, desk, handlers, running)


async def test_nobody_waits_for_the_token_while_an_exchange_is_under_way() -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        await both_under_way(desk, handlers)
        await desk.reply()
        await handlers.end(2)
        assert desk.calls["wait_for_work"] == 0
        assert lane.free_slots() > 0
        await until_it_ends(lane, desk, handlers, running)
    assert desk.calls["wait_for_work"] == 0


async def test_a_bug_in_one_of_two_ends_the_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    async with working(MANY, jobs=200) as (lane, desk, handlers, running):
        await both_under_way(desk, handlers)

        def fail(token: str) -> None:
            raise KeyError(f"a bug: {token}")

        monkeypatch.setattr(lane.attempts, "claims_known", fail)
        await desk.reply(1)
        await aeventually(running.done)
        assert isinstance(running.exception(), KeyError)
