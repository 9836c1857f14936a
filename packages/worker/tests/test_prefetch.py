"""Lanes of few slots claim a few jobs before their turn, as long as handlers are quick."""

import asyncio
from types import SimpleNamespace

import pytest

from packages.worker.tests.by_hand import Desk, Handlers, Trusting, settle_down, working
from packages.worker.tests.workbench import double
from taskora.contracts import Duration, JobState, RateLimit, Stall, UsageError
from taskora.contracts.records import replace
from taskora.wire import Cancel, Lease, LeaseState, ListJobs, OutcomeKind, ReadJob
from taskora.worker import Context, Defaults, _lane, _running, _turns
from taskora.worker._implementation import RunOptions, resolve
from taskora.worker._prefetch import Prefetch
from tests.polling import aeventually

AHEAD = 3
MANY = 1000


@pytest.fixture(autouse=True)
def _much_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_turns, "LONGEST_WAIT_MS", 600_000)


async def listed(desk: Desk, state: JobState) -> list[str]:
    """Ids in a state, next one first."""
    page = await desk.inner.run(ListJobs(task="double", state=state, limit=100))
    return [record.job_id for record in page.records]


async def state_of(desk: Desk, job_id: str) -> JobState:
    record = await desk.inner.run(ReadJob(task="double", job_id=job_id))
    assert record is not None
    return record.status.state


async def test_as_many_as_bridge_a_round_trip_run_one_after_the_other_and_leave_together() -> None:
    async with working(1, jobs=9, prefetch=AHEAD) as (lane, desk, handlers, _):
        await desk.reply()
        assert (handlers.started, lane.attempts.running, len(lane.attempts.waiting)) == (["0"], 1, AHEAD)
        for ended in range(1, AHEAD + 1):
            assert desk.asked == []
            await handlers.end(1)
            assert handlers.started == [str(n) for n in range(ended + 1)]
        (asked,) = desk.asked
        assert [outcome.job_id for outcome in asked.operation.outcomes] == ["0", "1", "2"]
        assert asked.operation.slots == AHEAD
        await handlers.end()
        await desk.reply()
        assert handlers.started == ["0", "1", "2", "3", "4"]


async def test_leases_of_those_that_wait_are_renewed_too() -> None:
    async with working(1, jobs=4, prefetch=AHEAD) as (lane, desk, _, _):
        await desk.reply()
        assert [lease.job_id for lease in lane.attempts.leases()] == ["0", "1", "2", "3"]


async def test_whoever_waits_for_too_long_goes_back_to_the_front_of_the_queue() -> None:
    async with working(1, jobs=6, prefetch=AHEAD) as (lane, desk, handlers, _):
        await desk.reply()
        assert await listed(desk, JobState.WAITING) == ["4", "5"]
        lane.attempts.decline_waiting()
        await settle_down()
        (asked,) = desk.asked
        assert {outcome.kind for outcome in asked.operation.outcomes} == {OutcomeKind.DECLINED}
        await desk.reply()
        assert handlers.started == ["0"]
        # The lane still takes its handler for quick, and has claimed them again.
        assert [attempt.job_id for attempt in lane.attempts.leases()] == ["0", "1", "2", "3"]


class Listening(Trusting):
    """Trusts until a job has waited for too long."""

    def distrust(self) -> None:
        self.jobs = 0


async def test_a_slow_handler_returns_jobs_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_turns, "LONGEST_WAIT_MS", 1)
    async with working(1, jobs=6, prefetch=Listening(AHEAD)) as (_, desk, handlers, _):
        await desk.reply()
        await aeventually(lambda: desk.asked)
        (asked,) = desk.asked
        assert [outcome.job_id for outcome in asked.operation.outcomes] == ["3", "2", "1"]
        assert asked.operation.slots == 0
        await desk.reply()
        assert await listed(desk, JobState.WAITING) == ["1", "2", "3", "4", "5"]
        await handlers.end()
        assert desk.asked[0].operation.slots == 1


async def test_nobody_starts_who_waited_while_the_event_loop_was_held_up(clock: SimpleNamespace) -> None:
    async with working(1, jobs=6, prefetch=AHEAD) as (_, desk, handlers, _):
        await desk.reply()
        clock.now += 601
        await handlers.end()
        assert handlers.started == ["0"]
        (asked,) = desk.asked
        assert [outcome.job_id for outcome in asked.operation.outcomes] == ["3", "2", "1", "0"]
        await desk.reply()
        assert handlers.started == ["0", "1"]


async def test_a_job_that_has_lost_a_worker_is_run_with_nobody_behind_it() -> None:
    async with working(1, jobs=6, prefetch=Listening(AHEAD)) as (lane, desk, handlers, _):
        desk.stalled = {"1"}
        await desk.reply()
        assert (handlers.started, [attempt.claim.job_id for attempt in lane.attempts.waiting]) == (["0"], ["2", "3"])
        await handlers.end()
        await handlers.end()
        assert [outcome.job_id for outcome in desk.asked[0].operation.outcomes] == ["1", "0", "2"]
        await desk.reply()
        await handlers.end()
        assert desk.asked[0].operation.slots == 1
        await desk.reply()
        assert handlers.started == ["0", "2", "3", "1"]
        assert (lane.free_slots(), desk.asked) == (0, [])


async def test_several_that_have_lost_a_worker_return_in_order_and_run_one_by_one() -> None:
    async with working(1, jobs=5, prefetch=Listening(AHEAD)) as (_, desk, handlers, _):
        desk.stalled = {"0", "1", "2", "3"}
        await desk.reply()
        assert handlers.started == []
        for started in range(1, 6):
            await desk.reply()
            assert handlers.started == [str(n) for n in range(started)]
            await handlers.end()


async def test_a_lone_job_that_has_lost_a_worker_starts_at_once_and_nothing_is_claimed_behind_it() -> None:
    async with working(1, jobs=1, prefetch=Listening(AHEAD)) as (lane, desk, handlers, _):
        desk.stalled = {"0"}
        await desk.reply()
        assert (handlers.started, lane.free_slots(), desk.asked) == (["0"], 0, [])


async def test_a_cancelled_job_that_waits_is_settled_at_once_and_its_handler_never_starts() -> None:
    hooked: list[int] = []

    def hook(data: int, ctx: Context) -> None:
        hooked.append(data)

    async with working(1, jobs=4, prefetch=AHEAD, on_cancel=hook) as (lane, desk, handlers, _):
        await desk.reply()
        await desk.inner.run(Cancel(task="double", job_id="2"))
        lane.attempts.cancel("2")
        await settle_down()
        assert (lane.attempts.running, len(lane.attempts.waiting), hooked) == (1, 2, [1])
        await handlers.end(1)
        await handlers.end(1)
        await desk.reply()
        await handlers.end()
        assert handlers.started == ["0", "1", "3"]
        assert await state_of(desk, "2") is JobState.CANCELLED


async def test_a_job_whose_lease_is_lost_while_it_waits_never_starts() -> None:
    async with working(1, jobs=4, prefetch=AHEAD) as (lane, desk, handlers, _):
        await desk.reply()
        lost = lane.attempts.leases()[1]
        lane.attempts.lease_changed(Lease(job_id=lost.job_id, token=lost.token), LeaseState.LOST)
        await settle_down()
        for _ in range(3):
            await handlers.end()
        assert handlers.started == ["0", "2", "3"]
        assert lost.job_id not in [lease.job_id for lease in lane.attempts.leases()]


async def test_closing_returns_those_that_wait_and_lets_the_running_one_end() -> None:
    async with working(1, jobs=6, prefetch=AHEAD) as (lane, desk, handlers, running):
        await desk.reply()
        lane.stop_claiming()
        await settle_down()
        await desk.reply()
        assert await listed(desk, JobState.WAITING) == ["1", "2", "3", "4", "5"]
        assert not running.done()
        await handlers.end()
        await desk.reply()
        await running
        assert handlers.started == ["0"]
        assert await state_of(desk, "0") is JobState.COMPLETED


async def test_claims_that_come_after_closing_return_in_order() -> None:
    async with working(1, jobs=6, prefetch=AHEAD) as (lane, desk, handlers, running):
        lane.stop_claiming()
        await desk.reply()
        await desk.reply()
        await running
        assert handlers.started == []
        assert await listed(desk, JobState.WAITING) == ["0", "1", "2", "3", "4", "5"]


async def test_one_that_is_left_behind_makes_room_for_the_next() -> None:
    async with working(1, jobs=2, prefetch=AHEAD) as (lane, desk, handlers, _):
        await desk.reply()
        (stubborn,) = [attempt for attempt in lane.attempts._attempts.values() if attempt.claim.job_id == "0"]
        lane.attempts._leave_behind(stubborn)
        await settle_down()
        assert handlers.started == ["0", "1"]


async def test_the_time_of_an_attempt_begins_with_its_turn() -> None:
    async with working(1, jobs=2, prefetch=AHEAD, time_limit="5m") as (lane, desk, handlers, _):
        await desk.reply()
        first, second = lane.attempts._attempts.values()
        assert lane.attempts._timeouts.left_seconds(first) > 0
        assert lane.attempts._timeouts.left_seconds(second) == 0
        await handlers.end(1)
        assert lane.attempts._timeouts.left_seconds(second) > 0


async def test_the_deadline_that_a_handler_sees_is_that_of_its_turn(clock: SimpleNamespace) -> None:
    async with working(1, jobs=2, prefetch=AHEAD, time_limit="5m") as (lane, desk, handlers, _):
        await desk.reply()
        first, second = lane.attempts._attempts.values()
        assert first.claimed_ms == second.claimed_ms
        clock.now += 0.25
        await handlers.end(1)
        assert second.claimed_ms == first.claimed_ms + 250


async def test_nobody_looks_for_more_while_every_slot_is_taken() -> None:
    async with working(1, jobs=1, prefetch=AHEAD) as (lane, desk, handlers, _):
        await desk.reply()
        assert (lane.attempts.running, lane.free_slots(), desk.calls["wait_for_work"]) == (1, AHEAD, 0)
        await handlers.end()
        await desk.reply()
        assert desk.calls["wait_for_work"] == 1


async def test_whoever_is_taken_out_is_not_waited_for_any_more() -> None:
    async with working(1, jobs=5, prefetch=4) as (lane, desk, _, _):
        await desk.reply()
        turns = lane.attempts._turns
        waiting = [*turns.waiting]
        assert all(turns._deadlines.left_seconds(attempt) > 0 for attempt in waiting)
        assert turns.first(0) is waiting[0]
        assert turns.last() is waiting[3]
        assert turns.remove(waiting[1])
        assert not turns.remove(waiting[1])
        assert [turns._deadlines.left_seconds(attempt) > 0 for attempt in waiting] == [False, False, True, False]
        turns.close()
        assert (len(turns.waiting), turns._deadlines.left_seconds(waiting[2])) == (0, 0)


async def test_those_that_are_stopped_before_their_turn_take_no_slot_and_leave_none_to_claims() -> None:
    hooks: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def hook(data: int, ctx: Context) -> None:
        await hooks

    async with working(1, jobs=6, prefetch=AHEAD, on_cancel=hook) as (lane, desk, handlers, _):
        await desk.reply()
        for job_id in ("1", "2"):
            lane.attempts.cancel(job_id)
        await settle_down()
        claimed = await desk.inner.run(replace(desk.history[0], token="late", slots=2))
        lane.attempts.start(claimed.claims, claimed.now_ms)
        await settle_down()
        assert (handlers.started, len(lane.attempts.waiting)) == (["0"], 3)
        await handlers.end()
        assert handlers.started == ["0"]
        hooks.set_result(None)
        await settle_down()
        assert handlers.started == ["0", "3"]


async def test_a_lane_learns_nothing_from_jobs_that_no_handler_has_seen() -> None:
    learnt: list[float] = []

    class Noting(Trusting):
        def ran(self, seconds: float) -> None:
            learnt.append(seconds)

    async with working(1, jobs=4, prefetch=Noting(AHEAD)) as (lane, desk, handlers, _):
        await desk.reply()
        lane.attempts.cancel("1")
        await settle_down()
        assert learnt == []
        await handlers.end()
        assert len(learnt) == 1


async def test_who_looks_while_jobs_wait_claims_no_more_than_may_wait() -> None:
    async with working(2, jobs=1, prefetch=2) as (lane, desk, handlers, _):
        await desk.reply()
        assert desk.calls["wait_for_work"] == 1
        await desk.enqueue("a", "b", "c", "d", "e", "f")
        await handlers.end()
        await desk.reply()
        assert (lane.attempts.running, len(lane.attempts.waiting), desk.asked) == (2, 2, [])
        await desk.ring()
        assert [asked.operation.slots for asked in desk.asked] == [0]


async def test_a_lane_that_trusts_less_than_it_did_claims_nothing() -> None:
    async with working(1, jobs=6, prefetch=Listening(AHEAD)) as (lane, desk, _, _):
        await desk.reply()
        lane._prefetch.distrust()
        assert lane.free_slots() == 0


async def test_a_lane_that_stops_waits_for_no_work() -> None:
    async with working(2, jobs=2, prefetch=2) as (lane, desk, handlers, _):
        await desk.reply()
        lane.stop_claiming()
        await settle_down()
        await handlers.end(1)
        while desk.asked:
            await desk.reply()
        assert (lane.attempts.running, desk.calls["wait_for_work"]) == (1, 0)


async def test_slots_are_filled_first() -> None:
    async with working(2, jobs=9, prefetch=2) as (lane, desk, handlers, _):
        await desk.reply()
        assert (handlers.started, len(lane.attempts.waiting)) == (["0", "1"], 2)


def test_an_unknown_handler_counts_as_slow() -> None:
    prefetch = Prefetch(AHEAD, slots=1)
    prefetch.answered(0.001)
    assert prefetch.jobs == 0


def taught(run_seconds: float, trip_seconds: float, *, slots: int = 1) -> int:
    prefetch = Prefetch(AHEAD, slots=slots)
    for _ in range(MANY):
        prefetch.ran(run_seconds)
    prefetch.answered(trip_seconds)
    return prefetch.jobs


@pytest.mark.parametrize(
    ("run_ms", "trip_ms", "slots", "jobs"),
    [
        (0.01, 1, 1, AHEAD),
        (0.4, 1, 1, 2),
        (0.9, 1, 1, 1),
        (1.1, 1, 1, 0),
        (1.1, 1, 2, 1),
        (100, 1, 1, 0),
        (0, 1, 1, AHEAD),  # a clock that stands still
        (0.01, 0, 1, 0),
        (2, 1000, 1, 1),  # a server that takes long is no reason to let jobs wait
        (20, 1000, 1, 0),
    ],
)
def test_as_many_may_wait_as_begin_within_a_round_trip(run_ms: float, trip_ms: float, slots: int, jobs: int) -> None:
    assert taught(run_ms / 1000, trip_ms / 1000, slots=slots) == jobs


def test_one_slow_run_is_remembered_for_a_while() -> None:
    prefetch = Prefetch(AHEAD, slots=1)
    for seconds in [0.0001] * MANY + [0.1]:
        prefetch.ran(seconds)
    allowed: list[int] = []
    for _ in range(100):
        prefetch.ran(0.0001)
        prefetch.answered(0.001)
        allowed.append(prefetch.jobs)
    assert allowed[0] == 0
    assert allowed[-1] == AHEAD
    assert sorted(allowed) == allowed


def test_a_handler_that_turns_slow_is_noticed_before_the_next_round_trip() -> None:
    prefetch = Prefetch(AHEAD, slots=1)
    for _ in range(MANY):
        prefetch.ran(0.0001)
    prefetch.answered(0.001)
    prefetch.ran(0.001)
    assert prefetch.jobs == AHEAD
    prefetch.ran(0.1)
    assert prefetch.jobs == 0


def test_who_let_a_job_wait_is_unknown_again() -> None:
    prefetch = Prefetch(AHEAD, slots=1)
    for _ in range(MANY):
        prefetch.ran(0.0001)
    prefetch.answered(0.001)
    assert prefetch.jobs == AHEAD
    prefetch.distrust()
    assert prefetch.jobs == 0
    prefetch.ran(0.0001)
    prefetch.answered(0.001)
    assert prefetch.jobs == 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of lanes; `now` is what it shows."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    for module in (_lane, _running):
        monkeypatch.setattr(module, "time", clock)
    return clock


async def rounds(desk: Desk, handlers: Handlers, clock: SimpleNamespace, *, run: float, count: int) -> list[int]:
    """So many round trips of a millisecond, and jobs that run for `run` seconds. Returns the slots asked for."""
    asked: list[int] = []
    for _ in range(count):
        while handlers.running:
            clock.now += run
            await handlers.end(1)
        asked.append(desk.asked[0].operation.slots)
        clock.now += 0.001
        await desk.reply()
    return asked


async def test_a_lane_learns_from_its_runs_and_round_trips(clock: SimpleNamespace) -> None:
    async with working(1, jobs=600, prefetch=Prefetch(AHEAD, slots=1)) as (_, desk, handlers, _):
        await desk.reply()
        learning = await rounds(desk, handlers, clock, run=0.0001, count=100)
        assert learning[:50] == [1] * 50
        assert learning[-1] == AHEAD
        # The first leaves while the last one of those that are here runs, and claims none behind it.
        assert await rounds(desk, handlers, clock, run=0.1, count=3) == [0, 1, 1]
        assert (await rounds(desk, handlers, clock, run=0.0001, count=60))[-1] == AHEAD


LIMITED: list[RunOptions] = [
    {"singleton": True},
    {"rate_limit": RateLimit(max=1, window="1s")},
    {"concurrency_limit": 1},
]


async def handle(data: int) -> int:
    return data


@pytest.mark.parametrize("options", LIMITED, ids=lambda options: next(iter(options)))
def test_limits_over_all_workers_and_prefetching_exclude_each_other(options: RunOptions) -> None:
    options = options.copy()
    assert resolve(double, handle, Defaults(prefetch=2), None, **options).prefetch == 0
    options["prefetch"] = 2
    with pytest.raises(UsageError, match=f"prefetch must be 0 together with {next(iter(options))}, got 2"):
        resolve(double, handle, Defaults(), None, **options)


@pytest.mark.parametrize(("concurrency", "prefetch"), [(1, 3), (2, 2), (3, 1), (4, 0), (100, 0)])
def test_lanes_of_few_slots_claim_four_jobs_by_default(concurrency: int, prefetch: int) -> None:
    assert resolve(double, handle, Defaults(), None, concurrency=concurrency).prefetch == prefetch


def test_the_option_counts_before_the_default() -> None:
    assert resolve(double, handle, Defaults(prefetch=7), None).prefetch == 7
    assert resolve(double, handle, Defaults(prefetch=7), None, prefetch=0).prefetch == 0


def test_nothing_waits_where_no_job_may_lose_its_worker_unless_that_is_asked_for() -> None:
    never_again = Defaults(stall=Stall(max_count=0))
    assert resolve(double, handle, never_again, None).prefetch == 0
    assert resolve(double, handle, never_again, None, stall=Stall()).prefetch == AHEAD
    assert resolve(double, handle, Defaults(prefetch=2), None, stall=Stall(max_count=0)).prefetch == 0
    assert resolve(double, handle, never_again, None, prefetch=2).prefetch == 2


@pytest.mark.parametrize("given", [-1, True, "3", 1.5])
def test_prefetch_is_a_count(given: Duration) -> None:
    with pytest.raises(UsageError, match="prefetch must be an integer, 0 or more, got"):
        resolve(double, handle, Defaults(), None, prefetch=given)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(UsageError, match="prefetch must be an integer, 0 or more, got"):
        Defaults(prefetch=given)  # type: ignore[arg-type]  # that is the test
