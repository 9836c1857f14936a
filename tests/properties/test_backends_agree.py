"""Random histories on memory and on a real server at once: every reply, record, event and queue must be the same."""

from functools import partial
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from taskora.contracts import JobState
from taskora.wire import (
    FINAL_STATES,
    NEWEST,
    NO_PACE,
    Cancel,
    Control,
    ControlledJob,
    Enqueue,
    EnqueueControlled,
    Exchange,
    ExtendLeases,
    FinalState,
    Lease,
    ListJobs,
    NewJob,
    OnExpire,
    Operation,
    Outcome,
    OutcomeKind,
    Pace,
    Prune,
    PushCollect,
    ReadCollect,
    ReadJob,
    ReadLogs,
    ReadStatuses,
    RecoverStalled,
    RemoveFinished,
    Report,
    ReportEntry,
    ReserveStart,
    RetryDead,
)
from tests.conformance.lifetimes import MINUTE_MS
from tests.conformance.subject import TASK
from tests.properties.pair import Pair
from tests.servers import Server

LEASE_MS = 20_000 * MINUTE_MS  # longer than any history
VERSION = 2
IDS = [f"j{number}" for number in range(12)]

job_ids = st.sampled_from(IDS)
delays = st.sampled_from([0, 0, 0, 1, 10, 500])
texts = st.sampled_from([b"", b"1", b'"x y"', "Привет".encode(), b"\xff"])
final_states = st.sampled_from(FINAL_STATES)
new_jobs = st.builds(
    NewJob,
    job_id=job_ids,
    data=st.sampled_from([b"1", b"2"]),
    delay_ms=delays,
    priority=st.sampled_from([0, 0, -1, 1, 5]),
    ttl_ms=st.sampled_from([0, 0, 0, 5, 500]),
)
flow_keys = st.sampled_from(["a", "b"])
controlled_jobs = st.builds(
    ControlledJob,
    job=new_jobs,
    lifo=st.booleans(),
    concurrency_key=st.sampled_from(["k1", "k1", "k2", ""]),
    concurrency_limit=st.sampled_from([1, 1, 2, 0]),
    control=st.sampled_from([*Control, Control.NONE]),
    key=flow_keys,
    amount=st.integers(1, 3),
    period_ms=st.sampled_from([MINUTE_MS, 2 * MINUTE_MS]),
    states=st.sampled_from(
        [(JobState.WAITING, JobState.DELAYED), (JobState.WAITING, JobState.DELAYED, JobState.ACTIVE, JobState.RETRYING)]
    ),
)
paces = st.sampled_from(
    [
        NO_PACE,
        NO_PACE,
        Pace(singleton=True),
        Pace(max=2, window_ms=MINUTE_MS),
        Pace(max=1, window_ms=MINUTE_MS, key="a"),
    ]
)
# Which of the leases that hold now; the highest numbers stand for those that were ever given.
lease_choices = st.integers(min_value=0, max_value=11)
ANY_LEASE = 9


class BackendsAgree(Pair):
    """What may happen to the jobs of a task."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._leases: list[Lease] = []
        self._exchanges: list[Exchange] = []
        self._dispatches: list[Operation[Any]] = []
        self._items = 0

    def lease(self, choice: int) -> Lease:
        held = [lease for lease in self._leases if self.lease_of(lease.job_id) == lease.token]
        leases = held if held and choice < ANY_LEASE else self._leases
        return leases[choice % len(leases)]

    def has_claimed(self) -> bool:
        return bool(self._leases)

    def has_ended(self) -> bool:
        return bool(self.place(*FINAL_STATES))

    @rule(jobs=st.lists(new_jobs, min_size=1, max_size=4), attempts=st.integers(1, 3), resend=st.booleans())
    def enqueue(self, jobs: list[NewJob], attempts: int, resend: bool) -> None:
        self.both(Enqueue(task=TASK, version=VERSION, max_attempts=attempts, jobs=jobs, resend=resend))

    @rule(jobs=st.lists(controlled_jobs, min_size=1, max_size=4), version=st.sampled_from([VERSION, VERSION + 1]))
    def enqueue_controlled(self, jobs: list[ControlledJob], version: int) -> None:
        self._dispatch(EnqueueControlled(task=TASK, version=version, max_attempts=3, jobs=jobs))

    @rule(
        key=flow_keys,
        delay_ms=st.sampled_from([MINUTE_MS, MINUTE_MS // 2]),
        max_size=st.sampled_from([0, 0, 2, 3]),
        max_wait_ms=st.sampled_from([0, MINUTE_MS]),
        max_items=st.sampled_from([3, 10]),
    )
    def push_collect(self, key: str, **limits: Any) -> None:
        self._items += 1
        name = f"c{self._items}"
        self._dispatch(
            PushCollect(task=TASK, version=VERSION, max_attempts=2, job_id=name, key=key, item=name.encode(), **limits)
        )
        self.both(ReadCollect(task=TASK, key=key))

    def _dispatch(self, dispatch: EnqueueControlled | PushCollect) -> None:
        self._dispatches.append(dispatch)
        self.both(dispatch)

    @precondition(lambda self: self._dispatches)
    @rule(back=st.integers(1, 3))
    def dispatch_again(self, back: int) -> None:
        self.both(self._dispatches[-min(back, len(self._dispatches))].again())

    @rule(key=flow_keys, start_id=st.sampled_from("xyz"), most=st.integers(1, 2))
    def reserve_start(self, key: str, start_id: str, most: int) -> None:
        self.both(ReserveStart(task=TASK, key=key, start_id=start_id, max=most, window_ms=MINUTE_MS))

    @rule(key=st.sampled_from(["k1", "k2"]))
    def somebody_takes_a_slot(self, key: str) -> None:
        self.slots_disturbed = True
        for tricks in self.tricks:
            tricks.hold_slot(TASK, key)

    @precondition(lambda self: any(name.startswith("conc:") for name in self.tricks[0].flow(TASK)["values"]))
    @rule(index=st.integers(0, 1))
    def somebody_leaves_a_slot(self, index: int) -> None:
        self.slots_disturbed = True
        names = sorted(name for name in self.tricks[0].flow(TASK)["values"] if name.startswith("conc:"))
        for tricks in self.tricks:
            tricks.leave_slot(TASK, names[index % len(names)].removeprefix("conc:"))

    @precondition(lambda self: self.place("wait", "prioritized", "delayed", "freed", "parked"))
    @rule(
        slots=st.sampled_from([3, 1, 9, 0]),
        on_expire=st.sampled_from(["fail", "discard"]),
        max_version=st.sampled_from([NEWEST, NEWEST, VERSION]),
        pace=paces,
        key_limit=st.sampled_from([0, 0, 2]),
    )
    def claim(self, slots: int, **options: Any) -> None:
        self._exchange(slots, [], **options)

    @precondition(has_claimed)
    @rule(
        slots=st.integers(0, 2),
        outcomes=st.lists(
            st.tuples(lease_choices, st.sampled_from(OutcomeKind), texts, delays), min_size=1, max_size=4
        ),
    )
    def settle(self, slots: int, outcomes: list[tuple[int, OutcomeKind, bytes, int]]) -> None:
        self._exchange(slots, [self._outcome(*outcome) for outcome in outcomes])

    def _exchange(self, slots: int, outcomes: list[Outcome], on_expire: OnExpire = "fail", **options: Any) -> None:
        exchange = Exchange(
            task=TASK,
            token=f"token-{len(self._exchanges)}",
            lease_ms=LEASE_MS,
            slots=slots,
            outcomes=outcomes,
            on_expire=on_expire,
            **options,
        )
        self._exchanges.append(exchange)
        self._carry_out(exchange)

    def _outcome(self, choice: int, kind: OutcomeKind, payload: bytes, delay_ms: int) -> Outcome:
        lease = self.lease(choice)
        return Outcome(kind=kind, job_id=lease.job_id, token=lease.token, payload=payload, delay_ms=delay_ms)

    def _carry_out(self, exchange: Exchange) -> None:
        self.paced = exchange.pace != NO_PACE
        for claim in self.both(exchange).claims:
            self._leases.append(Lease(job_id=claim.job_id, token=claim.token))

    @precondition(lambda self: self._exchanges)
    @rule(back=st.integers(1, 3))
    def exchange_again(self, back: int) -> None:
        self._carry_out(self._exchanges[-min(back, len(self._exchanges))].again())

    @precondition(has_claimed)
    @rule(choices=st.lists(lease_choices, min_size=1, max_size=4))
    def extend_leases(self, choices: list[int]) -> None:
        self.both(ExtendLeases(task=TASK, lease_ms=LEASE_MS, leases=[self.lease(choice) for choice in choices]))

    @precondition(lambda self: self.place("active"))
    @rule(index=st.integers(0, 7))
    def lose_lease(self, index: int) -> None:
        active = self.place("active")
        self._lose_lease(active[index % len(active)])

    def _lose_lease(self, job_id: str) -> None:
        for tricks in self.tricks:
            tricks.lose_lease(TASK, job_id)

    @rule(max_count=st.integers(0, 2))
    def recover_stalled(self, max_count: int) -> None:
        self.both(RecoverStalled(task=TASK, max_count=max_count))
        counted = {*self.place("parked"), *self.place("active")}
        keys = {record.fields.get("concurrencyKey") for name, record in self.look().items() if name in counted}
        self.slots_disturbed &= not {b"k1", b"k2"} <= keys

    @precondition(lambda self: self.place("active"))
    @rule(max_count=st.integers(0, 2))
    def all_workers_die(self, max_count: int) -> None:
        self.recover_stalled(max_count)
        for job_id in self.place("active"):
            self._lose_lease(job_id)
        self.recover_stalled(max_count)

    @precondition(lambda self: self.records)
    @rule(index=st.integers(0, 11), reason=st.sampled_from(["", "enough", "довольно"]))
    def cancel(self, index: int, reason: str) -> None:
        existing = sorted(self.records)
        self.both(Cancel(task=TASK, job_id=existing[index % len(existing)], reason=reason))

    @precondition(has_claimed)
    @rule(
        entries=st.lists(st.tuples(st.sampled_from(["progress", "log"]), lease_choices, texts), min_size=1, max_size=4)
    )
    def report(self, entries: list[tuple[Any, int, bytes]]) -> None:
        leases = [(kind, self.lease(choice), payload) for kind, choice, payload in entries]
        reports = [
            ReportEntry(kind=kind, job_id=lease.job_id, token=lease.token, payload=payload)
            for kind, lease, payload in leases
        ]
        self.both(Report(task=TASK, entries=reports))

    @precondition(lambda self: self.place("failed"))
    @rule(job_id=st.none() | job_ids, limit=st.integers(0, 3))
    def retry_dead(self, job_id: str | None, limit: int) -> None:
        self.both(RetryDead(task=TASK, job_id=job_id, limit=limit))

    @precondition(has_ended)
    @rule(index=st.integers(0, 7))
    def remove_finished(self, index: int) -> None:
        ended = self.place(*FINAL_STATES)
        job_id = ended[index % len(ended)]
        removed = [self.both(RemoveFinished(task=TASK, state=state, job_id=job_id)) for state in FINAL_STATES]
        assert sorted(removed) == [False, False, False, True]

    @precondition(has_ended)
    @rule(
        state=final_states,
        age=st.none() | st.sampled_from([0, 1, 10, 500]),
        items=st.none() | st.integers(0, 3),
        limit=st.integers(0, 4),
    )
    def prune(self, state: FinalState, age: int | None, items: int | None, limit: int) -> None:
        before = len(self.records)
        removed = self.both(Prune(task=TASK, state=state, max_age_ms=age, max_items=items, limit=limit))
        assert before - len(self.look()) == removed

    @rule(offset=st.integers(0, 4), limit=st.integers(0, 4), wanted=st.lists(job_ids, max_size=4))
    def inspect(self, offset: int, limit: int, wanted: list[str]) -> None:
        for state in JobState:
            self.both(ListJobs(task=TASK, state=state, offset=offset, limit=limit))
        self.both(ReadStatuses(task=TASK, job_ids=wanted))
        for job_id in wanted:
            self.both(ReadJob(task=TASK, job_id=job_id))
            self.both(ReadLogs(task=TASK, job_id=job_id))

    @rule(milliseconds=st.sampled_from([1, 4, 10, 490, MINUTE_MS // 2, MINUTE_MS - 1, MINUTE_MS]))
    def time_passes(self, milliseconds: int) -> None:
        self.advance(milliseconds)


@pytest.mark.timeout(600)
def test_memory_and_server_agree_on_random_histories(server: Server) -> None:
    budget = settings(
        max_examples=40,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        database=None,
    )
    machine = cast("type[BackendsAgree]", partial(BackendsAgree, server))  # any maker of machines will do
    run_state_machine_as_test(machine, settings=budget)
