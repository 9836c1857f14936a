"""Looking at jobs: what operators and tests see."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, cast

from taskora.contracts import ContractError, JobState, TaskContract, UsageError, check_job_id, check_task_name
from taskora.contracts.records import record
from taskora.wire import (
    CountJobs,
    Flow,
    JobCounts,
    JobRecord,
    JsonSerializer,
    ListJobs,
    LogEntry,
    ParkedReason,
    ReadJob,
    ScanTasks,
    Serializer,
    ask,
    count_versions,
    read_jobs,
    writer_of,
)

TaskName: TypeAlias = str | TaskContract[Any, Any]
DEFAULT_LIMIT: Final = 20
_JSON: Final = JsonSerializer()  # progress and logs are JSON, whatever payloads are


@record
class TimelineEntry:
    """When a job entered a state, in epoch milliseconds."""

    state: JobState
    timestamp_ms: int


@record
class JobInfo:
    """A job as it stands. `data`, `result` and `progress` are plain values, or text where they cannot be decoded.

    `logs` is filled by `find`, and empty in lists. `max_attempts` is what the producer's contract said; workers decide
    by their own. `parked_reason` says why a job that could run does not, as far as that is known. `fields` holds the
    stored record as it is, fields of other programs included. Times are epoch milliseconds of the server's clock.
    """

    id: str
    task: str
    state: JobState
    attempt: int
    max_attempts: int
    priority: int
    version: int
    timestamp_ms: int
    processed_on_ms: int | None
    finished_on_ms: int | None
    data: object
    result: object
    progress: object
    error: str | None
    cancel_reason: str | None
    stalled_count: int
    parked_reason: ParkedReason | None
    logs: tuple[LogEntry, ...]
    timeline: tuple[TimelineEntry, ...]
    fields: Mapping[str, bytes]


@record
class TaskStats:
    """Counts of one task. `delayed` includes jobs that wait for a retry; the age is in seconds.

    `parked` are those of the waiting that wait for a slot of their concurrency key; `newer` those of the delayed whose
    payload is too new for the workers that saw them; `unserved` those of the others that are ready, or due, while
    nobody works on the task. `workers` have said that they do; those of other programs do not say so.
    `rate_limited_until_ms` is when the task's rate limit lets the next of the ready jobs start; None if it does not
    hold them back, or depends on their payloads.
    """

    waiting: int
    active: int
    delayed: int
    completed: int
    failed: int
    expired: int
    cancelled: int
    oldest_waiting_age: float | None
    parked: int
    newer: int
    unserved: int
    workers: int
    rate_limited_until_ms: int | None = None

    @property
    def parked_reasons(self) -> dict[ParkedReason, int]:
        """How many jobs could run and do not, by why; without those reasons that keep none."""
        counts = {
            ParkedReason.SATURATED: self.parked,
            ParkedReason.NEWER: self.newer,
            ParkedReason.UNSERVED: self.unserved,
        }
        return {reason: count for reason, count in counts.items() if count}


@record
class MigrationInfo:
    """Payload versions of the jobs of a task that may still run, each with how many there are.

    `can_bump_since` is the highest `since` that no such job would fall below.
    """

    task: str
    version: int
    waiting: Mapping[int, int]
    active: Mapping[int, int]
    delayed: Mapping[int, int]
    oldest: int | None
    can_bump_since: int


def migrations(contract: TaskContract[Any, Any]) -> Flow[MigrationInfo]:
    """Which payload versions are still under way."""
    if not isinstance(cast("object", contract), TaskContract):
        raise UsageError.for_field("contract", contract, "a TaskContract, whose version is compared")
    counts = yield from count_versions(contract.name)
    present = {*counts.waiting, *counts.active, *counts.delayed}
    oldest = min(present) if present else None
    return MigrationInfo(
        task=contract.name,
        version=contract.version,
        waiting=counts.waiting,
        active=counts.active,
        delayed=counts.delayed,
        oldest=oldest,
        can_bump_since=contract.version if oldest is None else min(oldest, contract.version),
    )


def task_name(task: TaskName) -> str:
    """The name that a name or a contract stands for."""
    if isinstance(task, TaskContract):
        return task.name
    try:
        return check_task_name(task, field="task")
    except ContractError:
        raise UsageError.for_field("task", task, "a contract, or the name of a task") from None


def task_and_job(first: TaskName, second: str | None) -> tuple[TaskName | None, str]:
    """What `(job_id)` and `(task, job_id)` stand for: the task, None for all of them, and the job."""
    if second is not None:
        return first, second
    if isinstance(first, str):
        return None, first
    raise UsageError.for_field("job_id", first, "the id of a job; after a contract comes the id")


def all_tasks() -> Flow[list[str]]:
    """The names of all tasks that ever had a job, sorted."""
    names: set[str] = set()
    cursor = "0"
    while True:
        page = yield from ask(ScanTasks(cursor=cursor))
        names.update(page.tasks)
        cursor = page.cursor
        if cursor == "0":
            return sorted(names)


def named_tasks(task: TaskName | None) -> Flow[list[str]]:
    """One task, or all of them."""
    if task is None:
        return (yield from all_tasks())
    return [task_name(task)]


def stats(task: TaskName | None) -> Flow[dict[str, TaskStats]]:
    """Counts by task."""
    found: dict[str, TaskStats] = {}
    for name in (yield from named_tasks(task)):
        counts = yield from ask(CountJobs(task=name))
        found[name] = _stats(counts)
    return found


def _stats(counts: JobCounts) -> TaskStats:
    age_ms = counts.oldest_waiting_age_ms
    return TaskStats(
        waiting=counts.waiting,
        active=counts.active,
        delayed=counts.delayed,
        completed=counts.completed,
        failed=counts.failed,
        expired=counts.expired,
        cancelled=counts.cancelled,
        oldest_waiting_age=None if age_ms is None else age_ms / 1000,
        parked=counts.parked,
        newer=counts.newer,
        unserved=counts.unserved,
        workers=counts.workers,
        rate_limited_until_ms=counts.rate_limited_until_ms,
    )


def list_jobs(
    state: JobState, task: TaskName | None, limit: int, offset: int, serializer: Serializer
) -> Flow[list[JobInfo]]:
    """Jobs in one state; without a task, `limit` and `offset` count per task."""
    check_page("limit", limit)
    check_page("offset", offset)
    found: list[JobInfo] = []
    for name in (yield from named_tasks(task)):
        records = yield from read_jobs(ListJobs(task=name, state=state, offset=offset, limit=limit))
        found += [job_info(name, record, serializer) for record in records]
    return found


def check_page(field: str, value: object) -> None:
    """Refuses a limit or an offset that is none."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageError.for_field(field, value, "an integer, 0 or more")


def find_job(task: TaskName | None, job_id: str, serializer: Serializer) -> Flow[JobInfo | None]:
    """One job by id; without a task it is looked for in all of them."""
    check_job_id(job_id)
    for name in (yield from named_tasks(task)):
        record = yield from ask(ReadJob(task=name, job_id=job_id))
        if record is not None:
            return job_info(name, record, serializer)
    return None


def job_info(task: str, record: JobRecord, serializer: Serializer) -> JobInfo:
    """A stored record, for people."""
    status = record.status
    return JobInfo(
        id=record.job_id,
        task=task,
        state=status.state,
        attempt=status.attempt,
        max_attempts=record.max_attempts,
        priority=record.priority,
        version=record.version,
        timestamp_ms=record.timestamp_ms,
        processed_on_ms=status.processed_on_ms,
        finished_on_ms=status.finished_on_ms,
        data=plain_value(record.data, serializer),
        result=plain_value(status.result, serializer),
        progress=plain_value(status.progress, _JSON),
        error=status.error,
        cancel_reason=status.cancel_reason,
        stalled_count=record.stalled_count,
        parked_reason=record.parked_reason,
        logs=record.logs,
        timeline=_timeline(record),
        fields=record.fields,
    )


def _timeline(record: JobRecord) -> tuple[TimelineEntry, ...]:
    status = record.status
    first = JobState.DELAYED if record.delay_ms else JobState.WAITING
    entries = [TimelineEntry(state=first, timestamp_ms=record.timestamp_ms)]
    if status.processed_on_ms is not None:
        entries.append(TimelineEntry(state=JobState.ACTIVE, timestamp_ms=status.processed_on_ms))
    if status.finished_on_ms is not None and status.state.is_terminal:
        entries.append(TimelineEntry(state=status.state, timestamp_ms=status.finished_on_ms))
    return tuple(entries)


def plain_value(raw: bytes | None, serializer: Serializer) -> object:
    """A payload as plain values; what cannot be decoded is shown as text, or by whose it is."""
    if not raw:
        return None
    try:
        return serializer.loads(raw)
    except Exception:  # noqa: BLE001 - a listing must survive whatever one job holds
        writer = writer_of(raw)
        return (
            raw.decode("utf-8", "backslashreplace") if writer is None else f"{len(raw)} bytes of serializer {writer!r}"
        )
