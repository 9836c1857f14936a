"""Random histories on memory and on a real server at once: every reply, record, event and queue must be the same."""

from functools import partial
from typing import Any, TypeVar, cast

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from taskora.contracts import JobState
from taskora.wire import (
    FINAL_STATES,
    Cancel,
    CountJobs,
    Enqueue,
    Exchange,
    ExtendLeases,
    FinalState,
    JobRecord,
    Keyspace,
    LastEvent,
    Lease,
    ListJobs,
    NewJob,
    OnExpire,
    Operation,
    Outcome,
    OutcomeKind,
    Prune,
    ReadJob,
    ReadLogs,
    ReadStatuses,
    RecoverStalled,
    RemoveFinished,
    Report,
    ReportEntry,
    RetryDead,
)
from taskora.wire.backends import MemoryBackend, open_sync_backend
from tests.conformance.clock import VirtualClock
from tests.conformance.subject import TASK, shown
from tests.conformance.tricks import MemoryTricks, RedisTricks, Tricks
from tests.servers import Server

R = TypeVar("R")

LEASE_MS = 1_000_000_000  # a server counts it in real time, so it must never end by itself
IDS = [f"j{number}" for number in range(12)]
PLACES: dict[JobState, set[str]] = {
    JobState.WAITING: {"wait", "prioritized"},
    JobState.ACTIVE: {"active"},
    JobState.DELAYED: {"delayed"},
    JobState.RETRYING: {"delayed"},
    **{state: {state.value} for state in FINAL_STATES},
}

job_ids = st.sampled_from(IDS)
delays = st.sampled_from([0, 0, 0, 1, 10, 500])
texts = st.sampled_from([b"", b"1", b'"x y"', "Привет".encode(), b"\xff"])
passing = st.sampled_from([0, 0, 1, 10, 490])
outcome_kinds = st.sampled_from(OutcomeKind)
final_states = st.sampled_from(FINAL_STATES)
new_jobs = st.builds(
    NewJob,
    job_id=job_ids,
    data=st.sampled_from([b"1", b"2"]),
    delay_ms=delays,
    priority=st.sampled_from([0, 0, -1, 1, 5]),
    ttl_ms=st.sampled_from([0, 0, 0, 5, 500]),
)
# Which of the leases that hold now; the highest numbers stand for those that were ever given.
lease_choices = st.integers(min_value=0, max_value=11)
ANY_LEASE = 9


class BackendsAgree(RuleBasedStateMachine):
    """Does everything twice."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._raw: redis.Redis = server.client()
        self._raw.flushall()
        self._clock = VirtualClock()
        memory = MemoryBackend(clock=self._clock)
        self._memory, self._redis = memory.blocking(), open_sync_backend(server.url, clock=self._clock)
        self._tricks: tuple[Tricks, Tricks] = (MemoryTricks(memory), RedisTricks(self._raw, Keyspace()))
        self._positions = ["0-0", "0-0"]
        self._leases: list[Lease] = []
        self._exchanges: list[Exchange] = []
        self._existing: set[str] = set()

    def teardown(self) -> None:
        self._redis.close()
        self._raw.close()

    def both(self, operation: Operation[R]) -> R:
        expected, reply = self._redis.run(operation), self._memory.run(operation)
        assert reply == expected, operation
        return reply

    def lease(self, choice: int) -> Lease:
        tokens = self._tricks[0].leases_of(TASK, [lease.job_id for lease in self._leases])
        held = [lease for lease, token in zip(self._leases, tokens, strict=True) if lease.token == token]
        leases = held if held and choice < ANY_LEASE else self._leases
        return leases[choice % len(leases)]

    def place(self, *names: str) -> list[str]:
        """Where memory has jobs; an invariant compares it with the server."""
        places = self._tricks[0].ids_by_place(TASK)
        return [job_id for name in names for job_id in places[name]]

    def has_claimed(self) -> bool:
        return bool(self._leases)

    def has_ended(self) -> bool:
        return bool(self.place(*FINAL_STATES))

    @initialize(jobs=st.lists(new_jobs, min_size=2, max_size=8))
    def begin(self, jobs: list[NewJob]) -> None:
        self._enqueue(jobs)
        self._exchange(3, [], "fail")

    @rule(jobs=st.lists(new_jobs, min_size=1, max_size=4), resend=st.booleans())
    def enqueue(self, jobs: list[NewJob], resend: bool) -> None:
        self._enqueue(jobs, resend=resend)

    def _enqueue(self, jobs: list[NewJob], *, resend: bool = False) -> None:
        self.both(Enqueue(task=TASK, version=2, max_attempts=3, jobs=jobs, resend=resend))
        self._existing.update(job.job_id for job in jobs)

    @rule(
        jobs=st.lists(new_jobs, max_size=3),
        milliseconds=passing,
        slots=st.sampled_from([2, 1, 9, 0]),
        outcomes=st.lists(st.tuples(lease_choices, outcome_kinds, texts, delays), max_size=4),
        on_expire=st.sampled_from(["fail", "fail", "discard"]),
    )
    def work(
        self,
        jobs: list[NewJob],
        milliseconds: int,
        slots: int,
        outcomes: list[tuple[int, OutcomeKind, bytes, int]],
        on_expire: OnExpire,
    ) -> None:
        """All that a lively task does, in one rule, so that most histories get far."""
        self._enqueue(jobs)
        self._clock.advance(milliseconds)
        ends = [self._outcome(*outcome) for outcome in outcomes] if self._leases else []
        self._exchange(slots, ends, on_expire)

    def _exchange(self, slots: int, outcomes: list[Outcome], on_expire: OnExpire) -> None:
        exchange = Exchange(
            task=TASK,
            token=f"token-{len(self._exchanges)}",
            lease_ms=LEASE_MS,
            slots=slots,
            outcomes=outcomes,
            on_expire=on_expire,
        )
        self._exchanges.append(exchange)
        self._carry_out(exchange)

    def _outcome(self, choice: int, kind: OutcomeKind, payload: bytes, delay_ms: int) -> Outcome:
        lease = self.lease(choice)
        return Outcome(kind=kind, job_id=lease.job_id, token=lease.token, payload=payload, delay_ms=delay_ms)

    def _carry_out(self, exchange: Exchange) -> None:
        for claim in self.both(exchange).claims:
            self._leases.append(Lease(job_id=claim.job_id, token=claim.token))
        if exchange.on_expire == "discard":
            self._forget_deleted()

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
        for tricks in self._tricks:
            tricks.lose_lease(TASK, job_id)

    @rule(max_count=st.integers(0, 2))
    def recover_stalled(self, max_count: int) -> None:
        self.both(RecoverStalled(task=TASK, max_count=max_count))

    @precondition(lambda self: self.place("active"))
    @rule(max_count=st.integers(0, 2))
    def all_workers_die(self, max_count: int) -> None:
        self.recover_stalled(max_count)
        for job_id in self.place("active"):
            self._lose_lease(job_id)
        self.recover_stalled(max_count)

    @precondition(lambda self: self._existing)
    @rule(index=st.integers(0, 11), reason=st.sampled_from(["", "enough", "довольно"]))
    def cancel(self, index: int, reason: str) -> None:
        existing = sorted(self._existing)
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
        self._existing.remove(job_id)

    @precondition(has_ended)
    @rule(
        state=final_states,
        age=st.none() | st.sampled_from([0, 1, 10, 500]),
        items=st.none() | st.integers(0, 3),
        limit=st.integers(0, 4),
    )
    def prune(self, state: FinalState, age: int | None, items: int | None, limit: int) -> None:
        before = len(self._existing)
        removed = self.both(Prune(task=TASK, state=state, max_age_ms=age, max_items=items, limit=limit))
        self._forget_deleted()
        assert before - len(self._existing) == removed

    @rule(offset=st.integers(0, 4), limit=st.integers(0, 4), wanted=st.lists(job_ids, max_size=4))
    def inspect(self, offset: int, limit: int, wanted: list[str]) -> None:
        for state in JobState:
            self.both(ListJobs(task=TASK, state=state, offset=offset, limit=limit))
        self.both(ReadStatuses(task=TASK, job_ids=wanted))
        for job_id in wanted:
            self.both(ReadLogs(task=TASK, job_id=job_id))

    def _forget_deleted(self) -> None:
        self._existing = {job_id for job_id in self._existing if self._record(job_id) is not None}

    def _record(self, job_id: str) -> JobRecord | None:
        return self.both(ReadJob(task=TASK, job_id=job_id))

    @invariant()
    def every_job_stands_where_its_state_says(self) -> None:
        memory, server = (tricks.ids_by_place(TASK) for tricks in self._tricks)
        assert memory == server
        stand = [(job_id, place) for place, ids in memory.items() for job_id in ids]
        records = {job_id: self._record(job_id) for job_id in IDS}
        found = {job_id: record.status.state for job_id, record in records.items() if record is not None}
        assert sorted(job_id for job_id, _ in stand) == sorted(found) == sorted(self._existing)
        assert [job_id for job_id, place in stand if place not in PLACES[found[job_id]]] == []
        assert self.both(CountJobs(task=TASK)).active == len(memory["active"])

    @invariant()
    def leases_belong_to_active_jobs(self) -> None:
        memory, server = self._tricks
        tokens = memory.leases_of(TASK, IDS)
        assert tokens == server.leases_of(TASK, IDS)
        active = {*self.place("active")}
        assert {job_id for job_id, token in zip(IDS, tokens, strict=True) if token is not None} <= active
        assert memory.stall_candidates(TASK) == server.stall_candidates(TASK) <= active

    @invariant()
    def ready_work_is_announced(self) -> None:
        memory, server = self._tricks
        marker = memory.marker(TASK)
        assert marker == server.marker(TASK)
        places = memory.ids_by_place(TASK)
        if places["wait"] or places["prioritized"]:
            assert marker == 0
        elif places["delayed"]:
            assert marker is not None

    @invariant()
    def the_same_events_happened(self) -> None:
        histories: list[list[str]] = []
        for index, backend in enumerate((self._memory, self._redis)):
            last = backend.run(LastEvent(task=TASK))
            news = last != self._positions[index]  # a read without news would block for a while
            events = backend.read_events({TASK: self._positions[index]}, block_ms=1, limit=10_000) if news else []
            self._positions[index] = last
            histories.append(shown(events))
        assert histories[0] == histories[1]


@pytest.mark.timeout(600)  # shrinking a history that failed takes minutes
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
