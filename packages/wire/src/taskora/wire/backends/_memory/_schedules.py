"""Schedules.

lead, step_down, claim_due, set_due, write_schedule, read_schedules, scan_schedules, read_due, dispatch_occurrences,
withdraw_claim.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from taskora.contracts import JobState
from taskora.wire import _operations as op
from taskora.wire.backends._memory._creating import create, wake_for
from taskora.wire.backends._memory._record import state
from taskora.wire.backends._memory._sorted_ids import SortedIds
from taskora.wire.backends._memory._task import TaskStore

_UNFINISHED: Final = {JobState.WAITING, JobState.DELAYED, JobState.RETRYING, JobState.ACTIVE}


class ScheduleBook:
    """All schedules of a prefix, when they are due, and who leads."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.due = SortedIds()
        self.leader = ""
        self.leads_until_ms = 0

    def leader_at(self, now_ms: int) -> str:
        """Who leads; nobody once its time is over."""
        return self.leader if now_ms < self.leads_until_ms else ""


def lead(book: ScheduleBook, operation: op.Lead, now_ms: int) -> bool:
    """Becomes or stays the leader."""
    if book.leader_at(now_ms) not in ("", operation.token):
        return False
    book.leader, book.leads_until_ms = operation.token, now_ms + operation.ttl_ms
    return True


def step_down(book: ScheduleBook, operation: op.StepDown, now_ms: int) -> bool:
    """Stops to lead."""
    led = book.leader_at(now_ms) == operation.token
    if led:
        book.leads_until_ms = now_ms
    return led


def claim_due(book: ScheduleBook, operation: op.ClaimDue, now_ms: int) -> op.ClaimedDue:
    """Claims what is due by making it due again later."""
    scores = {name: int(book.due.score(name) or 0) for name in book.due.page(0, operation.limit)}
    due = {name: score for name, score in scores.items() if score <= now_ms}
    for name in due:
        book.due.add(name, now_ms + operation.lease_ms)
    following = book.due.first()
    return op.ClaimedDue(now_ms=now_ms, next_ms=None if following is None else int(following[0]), due=due)


def set_due(book: ScheduleBook, operation: op.SetDue, _now_ms: int) -> bool:
    """Says when a schedule is due."""
    found = book.due.score(operation.name)
    if found == operation.due_ms:
        return True
    if operation.expected != "any" and found != (None if operation.expected == "none" else operation.expected):
        return False
    if operation.due_ms is None:
        book.due.discard(operation.name)
    else:
        book.due.add(operation.name, operation.due_ms)
    return True


def write_schedule(book: ScheduleBook, operation: op.WriteSchedule, _now_ms: int) -> bool:
    """Replaces a record."""
    found, record = book.records.get(operation.name, b""), operation.record or b""
    if found == record:
        return True
    if found != (operation.expected or b""):
        return False
    if record:
        book.records[operation.name] = record
    else:
        del book.records[operation.name]
    return True


def read_schedules(book: ScheduleBook, operation: op.ReadSchedules, _now_ms: int) -> Mapping[str, bytes]:
    """The records of some schedules."""
    return {name: book.records[name] for name in operation.names if name in book.records}


def scan_schedules(book: ScheduleBook, _operation: op.ScanSchedules, _now_ms: int) -> op.SchedulePage:
    """All records, on one page."""
    return op.SchedulePage(cursor="0", records=dict(book.records))


def read_due(book: ScheduleBook, operation: op.ReadDue, now_ms: int) -> op.DueTimes:
    """When some schedules are due."""
    earliest = book.due.first()
    scores = {name: book.due.score(name) for name in operation.names}
    due = {name: int(score) for name, score in scores.items() if score is not None}
    return op.DueTimes(now_ms=now_ms, earliest_ms=None if earliest is None else int(earliest[0]), due=due)


def dispatch_occurrences(task: TaskStore, operation: op.DispatchOccurrences, now_ms: int) -> op.Dispatched:
    """Creates the runs that never were."""
    if now_ms > operation.claimed_until_ms or task.runs.is_withdrawn(operation.schedule, operation.claimed_until_ms):
        return op.Dispatched.CLAIM_OVER
    runs = task.runs.of(operation.schedule, now_ms)
    new = [job for job in operation.jobs if job.job_id not in runs]
    if new and not operation.overlap and any(_is_under_way(task, name) for name in (operation.last_job_id, *runs)[:2]):
        return op.Dispatched.UNDER_WAY
    created: list[op.NewJob] = []
    for run in new:
        if run.job_id not in task.jobs:
            job = op.NewJob(job_id=run.job_id, data=run.data, delay_ms=run.delay_ms, ttl_ms=run.ttl_ms)
            create(task, operation, job, now_ms)
            created.append(job)
        runs.appendleft(run.job_id)
    if new:
        task.runs.keep(operation.schedule, runs, now_ms)
        wake_for(task, created, now_ms)
    return op.Dispatched.DONE


def withdraw_claim(task: TaskStore, operation: op.WithdrawClaim, now_ms: int) -> bool:
    """Refuses what its holder has not dispatched yet."""
    if now_ms > operation.claimed_until_ms:
        return False
    task.runs.withdraw(operation.schedule, operation.claimed_until_ms, now_ms)
    return True


def _is_under_way(task: TaskStore, job_id: str) -> bool:
    record = task.jobs.get(job_id)
    return record is not None and state(record) in _UNFINISHED


OfBook: TypeAlias = Callable[[ScheduleBook, Any, int], Any]
OF_SCHEDULES: Final[dict[type[op.Operation[Any]], OfBook]] = {
    op.Lead: lead,
    op.StepDown: step_down,
    op.ClaimDue: claim_due,
    op.SetDue: set_due,
    op.WriteSchedule: write_schedule,
    op.ReadSchedules: read_schedules,
    op.ScanSchedules: scan_schedules,
    op.ReadDue: read_due,
}
