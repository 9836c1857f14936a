"""Rules of workers: claiming, settling, renewing, reporting, pacing; dying and being replaced."""

from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, consumes, multiple, precondition, rule

from taskora.testing.conformance import START_MS
from taskora.wire import (
    NEWEST,
    NO_PACE,
    AnnounceWorker,
    Exchange,
    ExtendLeases,
    Lease,
    OnExpire,
    Outcome,
    OutcomeKind,
    Pace,
    ReadWorkers,
    RecoverStalled,
    Report,
    ReportEntry,
    ReserveStart,
    WorkerRecord,
)
from tests.properties.pair import MINUTE_MS, WORKERS, Held, Pair, anything_runs, anything_waits, claims, tasks

PACES: Final[Mapping[str, Pace]] = {
    "free": NO_PACE,
    "one at a time": Pace(singleton=True),
    "two a minute": Pace(max=2, window_ms=MINUTE_MS),
    "one a minute of a": Pace(max=1, window_ms=MINUTE_MS, key="a"),
    "one at a time, two a minute": Pace(singleton=True, max=2, window_ms=MINUTE_MS),
}
# How an attempt ends, and after how long the job may run again.
ENDS: Final[Mapping[str, tuple[OutcomeKind, int]]] = {
    "completed": (OutcomeKind.COMPLETED, 0),
    "failed": (OutcomeKind.FAILED, 0),
    "retry now": (OutcomeKind.RETRYING, 0),
    "retry later": (OutcomeKind.RETRYING, 30_000),
    "cancelled": (OutcomeKind.CANCELLED, 0),
    "released": (OutcomeKind.RELEASED, 0),
    "released for later": (OutcomeKind.RELEASED, 30_000),
    "declined": (OutcomeKind.DECLINED, 0),
    "declined for later": (OutcomeKind.DECLINED, 30_000),
}
workers = st.sampled_from(WORKERS)
paces = st.sampled_from([*["free"] * 4, *PACES])
ends = st.sampled_from([*ENDS])
lease_times = st.sampled_from([30 * MINUTE_MS, MINUTE_MS])
texts = st.sampled_from([b"1", b"", "Привет".encode(), b"\xff"])


def holds_two(machine: "Running") -> bool:
    """Whether two attempts can end at once."""
    return len(machine.bundle("claims")) > 1


def has_settled(machine: "Running") -> bool:
    """Whether an outcome can come too late."""
    return bool(machine.past)


def has_exchanged(machine: "Running") -> bool:
    """Whether there is a request to repeat."""
    return bool(machine.exchanges)


def is_disturbed(machine: "Running") -> bool:
    """Whether other programs take and leave slots."""
    return machine.disturbed


class Running(Pair):
    """What workers do."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.exchanges: list[Exchange] = []
        self.past: list[Held] = []  # claims that their workers have settled

    @precondition(anything_waits)
    @rule(target=claims, task=tasks, worker=workers, slots=st.sampled_from([1, 9]), lease_ms=lease_times)
    def claim(self, task: str, worker: str, slots: int, lease_ms: int) -> MultipleResults[Held]:
        return self._exchange(Exchange(task=task, token=self.fresh(f"{worker}-"), lease_ms=lease_ms, slots=slots))

    claim_2 = claim_3 = claim_4 = claim  # a rule is chosen as often as it has names

    @precondition(anything_waits)
    @rule(
        target=claims,
        task=tasks,
        slots=st.sampled_from([2, 1, 9, 0]),
        on_expire=st.sampled_from(["fail", "discard"]),
        max_version=st.sampled_from([NEWEST, NEWEST, 1]),
        pace=paces,
        key_limit=st.sampled_from([0, 0, 2]),
        ttl_ms=st.sampled_from([0, 0, 30_000]),
    )
    def claim_as_told(
        self, task: str, slots: int, on_expire: OnExpire, max_version: int, pace: str, key_limit: int, ttl_ms: int
    ) -> MultipleResults[Held]:
        return self._exchange(
            Exchange(
                task=task,
                token=self.fresh("dan-"),
                lease_ms=30 * MINUTE_MS,
                slots=slots,
                on_expire=on_expire,
                max_version=max_version,
                pace=PACES[pace],
                key_limit=key_limit,
                ttl_ms=ttl_ms,
            )
        )

    @rule(target=claims, held=consumes(claims), end=ends, slots=st.integers(0, 2), payload=texts)
    def settle(self, held: Held, end: str, slots: int, payload: bytes) -> MultipleResults[Held]:
        self.past.append(held)
        return self._exchange(self._settling(held.task, [_outcome(held, end, payload)], slots))

    settle_2 = settle_3 = settle_4 = settle_5 = settle

    @precondition(holds_two)
    @rule(
        target=claims,
        first=consumes(claims),
        second=consumes(claims),
        ends=st.tuples(ends, ends),
        slots=st.integers(0, 2),
    )
    def settle_two(self, first: Held, second: Held, ends: tuple[str, str], slots: int) -> MultipleResults[Held]:
        self.past += [first, second]
        outcomes = [_outcome(first, ends[0], b"first"), _outcome(second, ends[1], b"second")]
        if first.task == second.task:
            return self._exchange(self._settling(first.task, outcomes, slots))
        one = self._exchange(self._settling(first.task, outcomes[:1], slots))
        return multiple(*one, *self._exchange(self._settling(second.task, outcomes[1:], slots)))

    settle_two_2 = settle_two

    @precondition(has_settled)
    @rule(target=claims, back=st.integers(1, 4), end=ends)
    def settle_too_late(self, back: int, end: str) -> MultipleResults[Held]:
        """An outcome comes again, or from a worker that nobody counted on any more."""
        held = self.past[-min(back, len(self.past))]
        return self._exchange(self._settling(held.task, [_outcome(held, end, b"late")], 0))

    @precondition(has_exchanged)
    @rule(target=claims, back=st.integers(1, 4))
    def exchange_again(self, back: int) -> MultipleResults[Held]:
        """The reply was lost: the same request comes once more, perhaps after others."""
        return self._exchange(self.exchanges[-min(back, len(self.exchanges))].again())

    exchange_again_2 = exchange_again

    def _settling(self, task: str, outcomes: list[Outcome], slots: int) -> Exchange:
        return Exchange(task=task, token=self.fresh("eve-"), lease_ms=30 * MINUTE_MS, slots=slots, outcomes=outcomes)

    def _exchange(self, exchange: Exchange) -> MultipleResults[Held]:
        if not exchange.resend:
            self.exchanges.append(exchange)
        reply = self.both(exchange)
        self.awake.discard(exchange.task)
        paced = {exchange.task} if exchange.pace != NO_PACE else set[str]()
        self.paced = self.paced - {exchange.task} | paced
        held = [Held(exchange.task, Lease(job_id=claim.job_id, token=claim.token)) for claim in reply.claims]
        return multiple(*held)

    @rule(held=claims, lease_ms=lease_times)
    def extend_lease(self, held: Held, lease_ms: int) -> None:
        self.both(ExtendLeases(task=held.task, lease_ms=lease_ms, leases=[held.lease]))

    @precondition(anything_runs)
    @rule(lease_ms=lease_times)
    def extend_all_leases(self, lease_ms: int) -> None:
        """Of the workers that live, and one that nobody was given."""
        for task, view in self.views.items():
            leases = [Lease(job_id=job_id, token=token) for job_id, token in view.leases().items()]
            self.both(ExtendLeases(task=task, lease_ms=lease_ms, leases=[*leases, Lease(job_id="j0", token="none")]))

    @rule(held=claims, kinds=st.lists(st.sampled_from(["progress", "log"]), min_size=1, max_size=2), payload=texts)
    def report(self, held: Held, kinds: list[Any], payload: bytes) -> None:
        lease = held.lease
        entries = [ReportEntry(kind=kind, job_id=lease.job_id, token=lease.token, payload=payload) for kind in kinds]
        self.both(Report(task=held.task, entries=entries))

    @rule(
        task=tasks,
        key=st.sampled_from("aab"),
        start_id=st.sampled_from("rst"),
        most=st.integers(1, 2),
        window_ms=st.sampled_from([MINUTE_MS, 2 * MINUTE_MS]),
    )
    def reserve_start(self, task: str, key: str, start_id: str, most: int, window_ms: int) -> None:
        self.both(ReserveStart(task=task, key=key, start_id=start_id, max=most, window_ms=window_ms))

    @rule(task=tasks, worker=workers, version=st.integers(1, 2), leaves=st.booleans())
    def announce(self, task: str, worker: str, version: int, leaves: bool) -> None:
        about = WorkerRecord(
            worker_id=worker, task=task, host="h", pid=1, version=version, concurrency=2, started_ms=START_MS
        )
        count = self.both(AnnounceWorker(worker=about, leaves=leaves))
        assert len(self.both(ReadWorkers(task=task))) == count

    @rule(task=tasks)
    def wake_up(self, task: str) -> None:
        """A waiting worker consumes the token; it will look for work some time later."""
        for side in self.sides:
            side.take_marker(task)
        self.awake.add(task)

    @precondition(anything_runs)
    @rule(worker=workers)
    def die(self, worker: str) -> None:
        """A worker is gone, and nobody renews its leases any more. It may come back and speak of its jobs."""
        for task, view in self.views.items():
            for job_id, token in view.leases().items():
                if token.startswith(worker):
                    self._lose_lease(task, job_id)

    @precondition(anything_runs)
    @rule(held=claims)
    def freeze(self, held: Held) -> None:
        """A worker stands still for longer than the lease of one job; whoever holds it now loses it."""
        self._lose_lease(held.task, held.lease.job_id)

    def _lose_lease(self, task: str, job_id: str) -> None:
        for side in self.sides:
            side.lose_lease(task, job_id)

    @precondition(anything_runs)
    @rule(task=tasks, max_count=st.integers(0, 2))
    def recover_stalled(self, task: str, max_count: int) -> None:
        """Workers with a limit of 1 share the counting of slots, others count always."""
        count_every_ms = MINUTE_MS if max_count == 1 else 0
        self.both(RecoverStalled(task=task, max_count=max_count, count_every_ms=count_every_ms))

    @precondition(anything_runs)
    @rule(task=tasks, max_count=st.integers(0, 2))
    def lose_all_workers(self, task: str, max_count: int) -> None:
        """They die between two sweeps, so that the second finds all that they ran."""
        self.both(RecoverStalled(task=task, max_count=max_count))
        for job_id in self.views[task].places["active"]:
            self._lose_lease(task, job_id)
        self.both(RecoverStalled(task=task, max_count=max_count))

    @precondition(is_disturbed)
    @rule(task=tasks, key=st.sampled_from("xy"), by=st.sampled_from([1, -1]))
    def let_another_program_change_slots(self, task: str, key: str, by: int) -> None:
        if by > 0 or f"conc:{key}" in self.views[task].keys:
            for side in self.sides:
                side.change_slots(task, key, by)


def _outcome(held: Held, end: str, payload: bytes) -> Outcome:
    kind, delay_ms = ENDS[end]
    return Outcome(kind=kind, job_id=held.lease.job_id, token=held.lease.token, payload=payload, delay_ms=delay_ms)
