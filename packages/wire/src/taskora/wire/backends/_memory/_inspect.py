"""Operations that only read one task."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice

from taskora.contracts import JobState
from taskora.wire._job import (
    STATUS_FIELDS,
    JobRecord,
    JobStatus,
    LogEntry,
    decode_log,
    decode_record,
    decode_status,
)
from taskora.wire._operations import (
    CountJobs,
    CountVersions,
    JobCounts,
    JobPage,
    LastEvent,
    ListJobs,
    ReadJob,
    ReadLogs,
    ReadStatuses,
    VersionCounts,
)
from taskora.wire.backends._memory._record import number, state
from taskora.wire.backends._memory._task import TaskStore
from taskora.wire.backends._memory._workers import parked_reason, unserved


def read_statuses(task: TaskStore, operation: ReadStatuses, now_ms: int) -> tuple[JobStatus | None, ...]:
    """Where jobs stand."""
    return tuple(_status(task, job_id, now_ms) for job_id in operation.job_ids)


def _status(task: TaskStore, job_id: str, now_ms: int) -> JobStatus | None:
    record = task.jobs.get(job_id, {})
    discarded_ms = task.values.get(f"gone:{job_id}", now_ms)
    if "state" not in record and discarded_ms is not None:
        record = {"state": b"expired", "finishedOn": discarded_ms.encode()}
    return decode_status([record.get(name) for name in STATUS_FIELDS])


def read_job(task: TaskStore, operation: ReadJob, now_ms: int) -> JobRecord | None:
    """One job and its log."""
    return _record(task, operation.job_id, now_ms, logs=tuple(task.logs.get(operation.job_id, ())))


def _record(task: TaskStore, job_id: str, now_ms: int, *, logs: Sequence[bytes] = ()) -> JobRecord | None:
    reason = parked_reason(task, job_id, now_ms)
    return decode_record(job_id, dict(task.jobs.get(job_id, {})), logs, reason or "")


def read_logs(task: TaskStore, operation: ReadLogs, _now_ms: int) -> tuple[LogEntry, ...]:
    """The log of one job."""
    return tuple(decode_log(entry) for entry in task.logs.get(operation.job_id, ()))


def list_jobs(task: TaskStore, operation: ListJobs, now_ms: int) -> JobPage:
    """A page of the jobs in one state."""
    ids = _page(task, operation.state, operation.offset, max(operation.limit, 0))
    records = (_record(task, job_id, now_ms) for job_id in ids)
    return JobPage(records=tuple(record for record in records if record is not None))


def _page(task: TaskStore, wanted: JobState, offset: int, limit: int) -> list[str]:
    if wanted == JobState.WAITING:
        first = task.prioritized.page(offset, limit)
        skipped = max(offset - len(task.prioritized), 0)
        others = chain(task.parking.freed, task.waiting, task.parking)
        return first + list(islice(others, skipped, skipped + limit - len(first)))
    if wanted == JobState.ACTIVE:
        return list(islice(task.active, offset, offset + limit))
    if wanted == JobState.DELAYED or wanted == JobState.RETRYING:
        of_state = (job_id for job_id in task.delayed if state(task.jobs.get(job_id, {})) == wanted)
        return list(islice(of_state, offset, offset + limit))
    return task.finished[wanted].page_from_last(offset, limit)


def count_jobs(task: TaskStore, _operation: CountJobs, now_ms: int) -> JobCounts:
    """How many jobs there are."""
    ended = {state.value: len(ids) for state, ids in task.finished.items()}
    return JobCounts(
        waiting=len(task.waiting) + len(task.prioritized) + len(task.parking.freed) + len(task.parking),
        active=len(task.active),
        delayed=len(task.delayed),
        oldest_waiting_age_ms=_oldest_waiting_age_ms(task, now_ms),
        parked=len(task.parking),
        newer=len(task.parking.newer),
        unserved=unserved(task, now_ms),
        workers=len(task.live_workers(now_ms)),
        rate_limited_until_ms=_rate_limited_until_ms(task, now_ms),
        **ended,
    )


def _rate_limited_until_ms(task: TaskStore, now_ms: int) -> int | None:
    until = task.values.get("parked:until", now_ms)
    return int(until) if until is not None and task.has_ready() and int(until) > now_ms else None


def _oldest_waiting_age_ms(task: TaskStore, now_ms: int) -> int | None:
    next_freed = task.parking.freed[0] if task.parking.freed else None
    candidates = (next(iter(task.waiting), None), next_freed, task.oldest_of_lowest_priority())
    records = (task.jobs[job_id] for job_id in candidates if job_id is not None and job_id in task.jobs)
    return max((max(now_ms - number(record, "ts"), 0) for record in records), default=None)


def count_versions(task: TaskStore, _operation: CountVersions, _now_ms: int) -> VersionCounts:
    """Which payload versions the jobs have that may still run."""
    waiting = chain(task.waiting, task.prioritized, task.parking.freed, task.parking)
    return VersionCounts(
        waiting=_versions(task, waiting), active=_versions(task, task.active), delayed=_versions(task, task.delayed)
    )


def _versions(task: TaskStore, ids: Iterable[str]) -> dict[int, int]:
    return dict(Counter(number(task.jobs.get(job_id, {}), "_v") for job_id in ids))


def last_event(task: TaskStore, _operation: LastEvent, _now_ms: int) -> str:
    """Position of the newest event."""
    return task.events.last_position
