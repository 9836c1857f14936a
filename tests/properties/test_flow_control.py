"""What flow control promises, whatever happens in between. On memory; the comparison with servers is elsewhere."""

import json
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from taskora.contracts import JobState
from taskora.testing.conformance import StorageClock
from taskora.wire import (
    Cancel,
    Claim,
    Collecting,
    Control,
    ControlledJob,
    CountJobs,
    EnqueueControlled,
    Exchange,
    ListJobs,
    NewJob,
    Outcome,
    OutcomeKind,
    Pace,
    PushCollect,
    ReadJob,
    RecoverStalled,
    ReserveStart,
    Verdict,
)
from taskora.wire.backends import MemoryBackend
from tests.conformance.tricks import MemoryTricks

TASK = "work"
SECOND = 1000
steps = st.integers(min_value=0, max_value=3 * SECOND)
budget = settings(max_examples=150, deadline=None, database=None)


class Flow:
    """A task in memory, whose clock stands still until it is moved."""

    def __init__(self) -> None:
        self.clock = StorageClock()
        backend = MemoryBackend(clock=self.clock)
        self.run = backend.blocking().run
        self.tricks = MemoryTricks(backend)
        self.count = 0
        self.running: list[Claim] = []

    def name(self) -> str:
        self.count += 1
        return f"j{self.count:03}"

    def dispatch(self, **options: Any) -> tuple[str, Verdict]:
        name = self.name()
        of_job = {field: options.pop(field) for field in ("priority", "ttl_ms", "delay_ms") if field in options}
        job = ControlledJob(job=NewJob(job_id=name, data=b"1", **of_job), **options)
        dispatch = EnqueueControlled(task=TASK, version=1, max_attempts=2, jobs=[job])
        (admission,) = self.run(dispatch)
        assert self.run(dispatch.again()) == (admission,) or admission.verdict is Verdict.THROTTLED
        return name, admission.verdict

    def exchange(self, slots: int, *outcomes: Outcome, **options: Any) -> list[Claim]:
        exchange = Exchange(task=TASK, token=self.name(), lease_ms=10**9, slots=slots, outcomes=outcomes, **options)
        claims = [*self.run(exchange).claims]
        assert [*self.run(exchange.again()).claims][: len(claims)] == claims
        return claims

    def end(self, index: int, kind: OutcomeKind, slots: int = 0) -> list[Claim]:
        claim = self.running.pop(index % len(self.running))
        if self._wants_cancel(claim):
            kind = OutcomeKind.CANCELLED  # as a worker does that is told so
        outcome = Outcome(kind=kind, job_id=claim.job_id, token=claim.token, payload=b"1")
        return self.exchange(slots, outcome)

    def _wants_cancel(self, claim: Claim) -> bool:
        record = self.run(ReadJob(task=TASK, job_id=claim.job_id))
        return record is not None and "cancelledAt" in record.fields


@budget
@given(gaps=st.lists(steps, max_size=30), most=st.integers(1, 4))
def test_a_throttle_accepts_so_many_from_the_first_of_a_window(gaps: list[int], most: int) -> None:
    flow = Flow()
    window_from, accepted = -(10**9), 0
    for gap in gaps:
        flow.clock.advance(gap)
        now_ms = flow.clock.now_ms()
        if now_ms >= window_from + 2 * SECOND:
            window_from, accepted = now_ms, 0
        _, verdict = flow.dispatch(control=Control.THROTTLE, key="k", amount=most, period_ms=2 * SECOND)
        assert verdict is (Verdict.CREATED if accepted < most else Verdict.THROTTLED)
        accepted += verdict is Verdict.CREATED


@budget
@given(gaps=st.lists(st.tuples(steps, st.integers(0, 5)), max_size=25), most=st.integers(1, 4))
def test_no_window_of_time_has_more_starts_than_the_rate_allows(gaps: list[tuple[int, int]], most: int) -> None:
    flow = Flow()
    pace = Pace(max=most, window_ms=2 * SECOND)
    starts: list[int] = []
    for gap, slots in gaps:
        flow.clock.advance(gap)
        for _ in range(5):
            flow.dispatch()
        now_ms = flow.clock.now_ms()
        started = len(flow.exchange(slots, pace=pace))
        within = sum(now_ms - start < 2 * SECOND for start in starts)
        starts += [now_ms] * started
        if slots:
            assert started >= min(slots, most - within)  # none is held back without need
        assert within + started <= most


@budget
@given(gaps=st.lists(steps, max_size=25), most=st.integers(1, 3))
def test_reserved_starts_keep_to_the_rate(gaps: list[int], most: int) -> None:
    flow = Flow()
    starts: list[int] = []
    for gap in gaps:
        flow.clock.advance(gap)
        reserve = ReserveStart(task=TASK, key="k", start_id=flow.name(), max=most, window_ms=2 * SECOND)
        wait_ms = flow.run(reserve)
        assert flow.run(reserve) == wait_ms
        starts.append(flow.clock.now_ms() + wait_ms)
    starts.sort()
    assert all(later - first >= 2 * SECOND for first, later in zip(starts, starts[most:], strict=False))


ends = st.sampled_from(OutcomeKind)
dedup_steps = st.lists(
    st.one_of(
        st.just(("dispatch", 0)),
        st.tuples(st.just("claim"), st.integers(0, 2)),
        st.tuples(ends, st.integers(0, 3)),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("wait"), steps),
        st.just(("die", 0)),
    ),
    max_size=30,
)


@budget
@given(history=dedup_steps, ttl_ms=st.sampled_from([0, SECOND]))
def test_a_job_that_counts_keeps_others_out_and_an_ended_one_nobody(
    history: list[tuple[Any, int]], ttl_ms: int
) -> None:
    flow = Flow()
    states = (JobState.WAITING, JobState.DELAYED, JobState.ACTIVE, JobState.RETRYING)
    made: set[str] = set()
    for step, number in history:
        if step == "dispatch":
            unfinished = _unfinished(flow)
            name, verdict = flow.dispatch(control=Control.DEDUPLICATE, key="k", states=states, ttl_ms=ttl_ms)
            assert verdict is (Verdict.DUPLICATE if unfinished else Verdict.CREATED)
            made |= {name} if verdict is Verdict.CREATED else set()
        else:
            _do(flow, step, number, made)
        unfinished = _unfinished(flow)
        assert len(unfinished) <= 1
        assert flow.tricks.flow(TASK)["values"] == ({"dedup:k": unfinished[0]} if unfinished else {})


def _unfinished(flow: Flow) -> list[str]:
    pages = [flow.run(ListJobs(task=TASK, state=state, limit=100)) for state in JobState if not state.is_terminal]
    return [record.job_id for page in pages for record in page.records]


def _do(flow: Flow, step: Any, number: int, made: set[str]) -> None:
    if step == "claim":
        flow.running += flow.exchange(number)
    elif step == "cancel" and made:
        flow.run(Cancel(task=TASK, job_id=sorted(made)[number % len(made)]))
    elif step == "wait":
        flow.clock.advance(number)
        flow.exchange(0)
    elif step == "die":
        for _ in range(2):
            flow.run(RecoverStalled(task=TASK, max_count=1))
            for claim in flow.running:
                flow.tricks.lose_lease(TASK, claim.job_id)
    elif isinstance(step, OutcomeKind) and flow.running:
        flow.end(number, step)


keyed_steps = st.lists(
    st.one_of(
        st.tuples(st.just("dispatch"), st.sampled_from(["x", "y", ""]), st.sampled_from([0, 0, 5])),
        st.tuples(st.just("claim"), st.integers(0, 4), st.just(0)),
        st.tuples(ends, st.integers(0, 5), st.integers(0, 2)),
        st.tuples(st.just("cancel"), st.integers(0, 20), st.just(0)),
        st.tuples(st.just("die"), st.integers(0, 5), st.just(0)),
    ),
    max_size=40,
)


@budget
@given(history=keyed_steps, limit=st.integers(1, 3))
def test_as_many_slots_are_held_as_jobs_run_and_nobody_is_forgotten(
    history: list[tuple[Any, Any, int]], limit: int
) -> None:
    flow = Flow()
    made: set[str] = set()
    for step, first, second in history:
        if step == "dispatch":
            name, _ = flow.dispatch(concurrency_key=first, concurrency_limit=limit, priority=second)
            made.add(name)
        elif isinstance(step, OutcomeKind) and flow.running:
            flow.running += flow.end(first, step, second)
        else:
            _do(flow, step, first, made)
        _check_slots(flow, limit)
    _run_to_the_end(flow)
    assert _unfinished(flow) == []
    assert flow.tricks.flow(TASK)["values"] == {}


def _check_slots(flow: Flow, limit: int) -> None:
    active = flow.run(ListJobs(task=TASK, state=JobState.ACTIVE, limit=100))
    counted = Counter(record.fields.get("concurrencyKey", b"").decode() for record in active.records)
    del counted[""]
    assert flow.tricks.flow(TASK)["values"] == {f"conc:{key}": str(count) for key, count in counted.items()}
    assert all(count <= limit for count in counted.values())


def _run_to_the_end(flow: Flow) -> None:
    """What two workers do when nobody dispatches any more; each exchange must bring the end nearer."""
    for claim in flow.running:
        flow.tricks.lose_lease(TASK, claim.job_id)
    for _ in range(2):
        flow.run(RecoverStalled(task=TASK, max_count=9))
    flow.running = []
    while flow.running or flow.run(CountJobs(task=TASK)).waiting:
        before = _ended(flow)
        flow.running += flow.exchange(2)
        while flow.running:
            flow.running += flow.end(0, OutcomeKind.COMPLETED, 1)
        assert _ended(flow) > before


def _ended(flow: Flow) -> int:
    counts = flow.run(CountJobs(task=TASK))
    return counts.completed + counts.cancelled


collect_steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.booleans()),
        st.tuples(st.just("wait"), steps),
        st.tuples(st.just("promote"), st.just(0)),
        st.tuples(st.just("claim"), st.just(0)),
        st.tuples(ends, st.integers(0, 3)),
        st.tuples(st.just("die"), st.just(0)),
    ),
    max_size=40,
)


@budget
@given(
    history=collect_steps,
    max_size=st.sampled_from([0, 0, 1, 3]),
    max_wait_ms=st.sampled_from([0, 2 * SECOND]),
    max_items=st.sampled_from([3, 100]),
)
def test_every_item_is_in_one_batch(
    history: list[tuple[Any, int]], max_size: int, max_wait_ms: int, max_items: int
) -> None:
    flow = Flow()
    accepted: list[str] = []
    batches: dict[str, bytes] = {}
    for step, number in history:
        if step == "push":
            accepted += _push(flow, again=bool(number), max_size=max_size, max_wait_ms=max_wait_ms, max_items=max_items)
        elif step == "claim":
            claims = flow.exchange(5)
            flow.running += claims
            _note(batches, claims)
        else:
            _do(flow, step, number, set())
    flow.clock.advance(10 * SECOND)
    _note(batches, flow.exchange(100))
    items = [item for data in batches.values() for item in json.loads(data)]
    assert sorted(items) == sorted(accepted)
    assert all(len(json.loads(data)) <= max_items for data in batches.values())


def _push(flow: Flow, *, again: bool, **limits: Any) -> list[str]:
    name = flow.name()
    push = PushCollect(
        task=TASK, version=1, max_attempts=9, job_id=name, key="k", item=f'"{name}"'.encode(), delay_ms=SECOND, **limits
    )
    reply = flow.run(push)
    if again and reply.collecting is not Collecting.FULL:
        assert flow.run(push.again()).collecting is Collecting.REPEATED
    return [] if reply.collecting is Collecting.FULL else [name]


def _note(batches: dict[str, bytes], claims: list[Claim]) -> None:
    for claim in claims:
        assert batches.setdefault(claim.job_id, claim.data) == claim.data  # every attempt sees the same items
