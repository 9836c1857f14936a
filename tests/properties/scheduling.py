"""Rules of schedulers: leading, claiming what is due, dispatching runs once, and managing what is stored."""

from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, multiple, rule

from taskora.wire import (
    ClaimDue,
    Dispatched,
    DispatchOccurrences,
    Expected,
    Lead,
    Occurrence,
    ReadDue,
    ReadSchedules,
    ScanSchedules,
    SetDue,
    StepDown,
    WithdrawClaim,
    WriteSchedule,
)
from tests.properties.pair import MINUTE_MS, WORKERS, Name, Pair, jobs, tasks

schedules = st.sampled_from(["daily", "often"])
schedulers = st.sampled_from(WORKERS)
distances = st.sampled_from([-MINUTE_MS, 0, 1, MINUTE_MS])
texts = st.sampled_from([None, b"1", b"2"])


class Scheduling(Pair):
    """What schedulers do to schedules, and to the tasks that they dispatch to."""

    @rule(
        target=jobs,
        task=tasks,
        schedule=schedules,
        runs=st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True),
        overlap=st.booleans(),
        last=st.none() | jobs,
        late_ms=st.sampled_from([-MINUTE_MS, -MINUTE_MS, 1]),
        delay_ms=st.sampled_from([0, 0, 30_000]),
        withdrawn=st.sampled_from([False, False, True]),
    )
    def dispatch_runs(
        self,
        task: str,
        schedule: str,
        runs: list[int],
        overlap: bool,
        last: Name | None,
        late_ms: int,
        delay_ms: int,
        withdrawn: bool,
    ) -> MultipleResults[Name]:
        names = [f"{schedule}-{run}" for run in runs]
        dispatch = DispatchOccurrences(
            task=task,
            schedule=schedule,
            version=1,
            max_attempts=2,
            claimed_until_ms=self.clock.now_ms() - late_ms,
            overlap=overlap,
            last_job_id="" if last is None else last.job_id,
            jobs=[Occurrence(job_id=name, data=b"1", delay_ms=delay_ms) for name in names],
        )
        if withdrawn:
            until_ms = dispatch.claimed_until_ms
            withdrawal = WithdrawClaim(task=task, schedule=schedule, claimed_until_ms=until_ms)
            assert self.both(withdrawal) is (late_ms <= 0)
            assert self.both(withdrawal.again()) is (late_ms <= 0)
        reply = self.both(dispatch)
        assert reply is Dispatched.CLAIM_OVER or not withdrawn
        self.both(dispatch.again())
        return multiple(*(Name(task, name) for name in names))

    @rule(name=schedules, away_ms=st.none() | distances, expected=st.sampled_from(["any", "none"]) | distances)
    def plan(self, name: str, away_ms: int | None, expected: Expected) -> None:
        now_ms = self.clock.now_ms()
        found: Expected = now_ms + expected if isinstance(expected, int) else expected
        planned = self.both(SetDue(name=name, expected=found, due_ms=None if away_ms is None else now_ms + away_ms))
        due = self.both(ReadDue(names=[name])).due
        if planned:
            assert due.get(name) == (None if away_ms is None else now_ms + away_ms)

    @rule(lease_ms=st.sampled_from([1, MINUTE_MS]), limit=st.sampled_from([1, 100]))
    def claim_due(self, lease_ms: int, limit: int) -> None:
        before = self.both(ReadDue(names=["often", "nobody", "daily"])).due
        claimed = self.both(ClaimDue(lease_ms=lease_ms, limit=limit))
        assert all(before[name] == score <= self.clock.now_ms() for name, score in claimed.due.items())

    @rule(name=schedules, expected=texts, record=texts)
    def write_schedule(self, name: str, expected: bytes | None, record: bytes | None) -> None:
        written = self.both(WriteSchedule(name=name, expected=expected, record=record))
        stored = self.both(ReadSchedules(names=[name])).get(name)
        assert not written or stored == record
        assert self.both(ScanSchedules()).records.get(name) == stored

    @rule(token=schedulers)
    def lead(self, token: str) -> None:
        self.both(Lead(token=token, ttl_ms=MINUTE_MS))

    @rule(token=schedulers)
    def step_down(self, token: str) -> None:
        self.both(StepDown(token=token))
