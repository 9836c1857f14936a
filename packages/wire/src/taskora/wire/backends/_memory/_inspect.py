"""Operations that only read one task."""

from itertools import islice

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
    JobCounts,
    LastEvent,
    ListJobs,
    ReadJob,
    ReadLogs,
    ReadStatuses,
)
from taskora.wire.backends._memory._record import number, state
from taskora.wire.backends._memory._task import TaskStore


def read_statuses(task: TaskStore, operation: ReadStatuses, _now_ms: int) -> tuple[JobStatus | None, ...]:
    """Where jobs stand."""
    records = (task.jobs.get(job_id, {}) for job_id in operation.job_ids)
    return tuple(decode_status([record.get(name) for name in STATUS_FIELDS]) for record in records)


def read_job(task: TaskStore, operation: ReadJob, _now_ms: int) -> JobRecord | None:
    """One job and its log."""
    job_id = operation.job_id
    return decode_record(job_id, dict(task.jobs.get(job_id, {})), tuple(task.logs.get(job_id, ())))


def read_logs(task: TaskStore, operation: ReadLogs, _now_ms: int) -> tuple[LogEntry, ...]:
    """The log of one job."""
    return tuple(decode_log(entry) for entry in task.logs.get(operation.job_id, ()))


def list_jobs(task: TaskStore, operation: ListJobs, _now_ms: int) -> tuple[JobRecord, ...]:
    """A page of the jobs in one state."""
    ids = _page(task, operation.state, operation.offset, max(operation.limit, 0))
    records = (decode_record(job_id, dict(task.jobs[job_id])) for job_id in ids if job_id in task.jobs)
    return tuple(record for record in records if record is not None)


def _page(task: TaskStore, wanted: JobState, offset: int, limit: int) -> list[str]:
    if wanted == JobState.WAITING:
        first = task.prioritized.page(offset, limit)
        skipped = max(offset - len(task.prioritized), 0)
        return first + list(islice(task.waiting, skipped, skipped + limit - len(first)))
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
        waiting=len(task.waiting) + len(task.prioritized),
        active=len(task.active),
        delayed=len(task.delayed),
        oldest_waiting_age_ms=_oldest_waiting_age_ms(task, now_ms),
        **ended,
    )


def _oldest_waiting_age_ms(task: TaskStore, now_ms: int) -> int | None:
    candidates = (next(iter(task.waiting), None), task.oldest_of_lowest_priority())
    records = (task.jobs[job_id] for job_id in candidates if job_id is not None and job_id in task.jobs)
    return max((max(now_ms - number(record, "ts"), 0) for record in records), default=None)


def last_event(task: TaskStore, _operation: LastEvent, _now_ms: int) -> str:
    """Position of the newest event."""
    return task.events.last_position
