"""What is stored of a schedule, as it was read and as people see it."""

from datetime import datetime

from taskora.contracts import Schedule, UsageError
from taskora.contracts.records import record
from taskora.producer._due import due_after, in_zone, runs_from
from taskora.producer._occurrences import from_epoch_ms, to_epoch_ms
from taskora.wire import ScheduleRecord, ScheduleRecordError, decode_schedule


@record
class ScheduleInfo:
    """A schedule as it stands.

    Attributes:
        name: What it is called.
        task: The task it runs; None when the record is damaged.
        schedule: When and how; None when the record is damaged.
        next_run: When it is due; None when it is paused, or over.
        last_run: When a scheduler dispatched its latest run.
        last_job_id: That run.
        paused: Whether it is not due although there would be a next run.
        declared: Whether code declares it, rather than an operator.
        problem: What keeps it from running, in words; None when nothing does.
        record: The record as it is stored.
    """

    name: str
    task: str | None
    schedule: Schedule | None
    next_run: datetime | None
    last_run: datetime | None
    last_job_id: str | None
    paused: bool
    declared: bool
    problem: str | None
    record: bytes

    def next_runs(self, count: int) -> list[datetime]:
        """The next instants at which it is due, at most `count`, in its zone; none when it is paused.

        Raises:
            UsageError: The count is no integer from 1 to 1000.
        """
        if self.schedule is None or self.next_run is None:
            return []
        return runs_from(self.schedule, to_epoch_ms(self.next_run), count)


@record
class Stored:
    """What is stored under a name. `record` is None when there is none, or none that can be read."""

    name: str
    raw: bytes | None
    record: ScheduleRecord | None
    due_ms: int | None
    now_ms: int

    @property
    def is_over(self) -> bool:
        """Whether it could be read, and is never due again."""
        if self.record is None or self.due_ms is not None:
            return False
        return due_after(self.record.schedule, self.now_ms, due_ms=self.now_ms) is None

    @property
    def is_claimed(self) -> bool:
        """Whether a scheduler may be about to dispatch it: it is due at another time than its record says."""
        if self.record is None or self.due_ms is None or self.record.due_ms is None:
            return False
        return self.now_ms <= self.due_ms != self.record.due_ms


def stored_schedule(name: str, raw: bytes | None, due_ms: int | None, now_ms: int) -> Stored:
    """What was read, decoded."""
    try:
        record = None if raw is None else decode_schedule(raw)
    except ScheduleRecordError:
        record = None
    return Stored(name=name, raw=raw, record=record, due_ms=due_ms, now_ms=now_ms)


def readable(stored: Stored) -> ScheduleRecord:
    """The record of a schedule.

    Raises:
        UsageError: there is no such schedule, or its record is damaged.
    """
    if stored.raw is None:
        raise UsageError(f"there is no schedule {stored.name!r}")
    try:
        return decode_schedule(stored.raw)
    except ScheduleRecordError as error:
        raise UsageError(
            f"schedule {stored.name!r} cannot be read ({error}): remove it, and declare it again"
        ) from None


def info_of(stored: Stored) -> ScheduleInfo:
    """What is stored, for people."""
    record, problem = stored.record, None
    if record is None:
        try:
            readable(stored)
        except UsageError as error:
            problem = str(error)
    says_so = record is not None and record.paused
    paused = says_so or (stored.due_ms is None and not stored.is_over)
    if record is not None and paused and not says_so:
        problem = "it is not due, and no program of ours paused it: resume it, or pause it here"
    return ScheduleInfo(
        name=stored.name,
        task=None if record is None else record.task,
        schedule=None if record is None else record.schedule,
        next_run=None if paused else _instant(_next_ms(stored), record),
        last_run=None if record is None else _instant(record.last_run_ms, record),
        last_job_id=None if record is None else record.last_job_id,
        paused=paused,
        declared=record is not None and record.declared,
        problem=problem,
        record=stored.raw or b"",
    )


def _next_ms(stored: Stored) -> int | None:
    """When it is due; while somebody changes it, it is planned for a moment at which the change will be over."""
    planned_ms = None if stored.record is None else stored.record.due_ms
    if stored.due_ms is None or planned_ms is None or planned_ms <= stored.now_ms:
        return stored.due_ms
    return planned_ms


def _instant(instant_ms: int | None, record: ScheduleRecord | None) -> datetime | None:
    if instant_ms is None:
        return None
    if record is None:
        return from_epoch_ms(instant_ms)
    return in_zone(record.schedule, instant_ms)
