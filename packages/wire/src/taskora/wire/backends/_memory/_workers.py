"""Who works on a task, and why its jobs do not run."""

from taskora.contracts import JobState
from taskora.contracts.records import replace
from taskora.wire._job import ParkedReason
from taskora.wire._operations import AnnounceWorker, ReadWorkers, WorkerRecord
from taskora.wire.backends._memory._record import Record, state, text
from taskora.wire.backends._memory._task import TaskStore


def announce_worker(task: TaskStore, operation: AnnounceWorker, now_ms: int) -> int:
    """A worker is there, or leaves; forgets those that were not heard of."""
    worker = operation.worker
    task.workers.pop(worker.worker_id, None)
    if not operation.leaves:
        task.workers[worker.worker_id] = replace(worker, beat_ms=now_ms)
    task.workers = {live.worker_id: live for live in task.live_workers(now_ms)}
    return len(task.workers)


def read_workers(task: TaskStore, _operation: ReadWorkers, now_ms: int) -> tuple[WorkerRecord, ...]:
    """Those that are there, by when they were last heard of."""
    return tuple(sorted(task.live_workers(now_ms), key=lambda worker: (worker.beat_ms, worker.worker_id)))


def is_served(task: TaskStore, now_ms: int) -> bool:
    """Whether anybody works on a task: other programs do not say so, but where a job runs, somebody does."""
    return bool(task.live_workers(now_ms)) or task.anything_runs(now_ms)


def unserved(task: TaskStore, now_ms: int) -> int:
    """How many jobs are ready, or due, while nobody works on the task; those that are too new count as such."""
    if is_served(task, now_ms):
        return 0
    ready = len(task.waiting) + len(task.prioritized) + len(task.parking.freed)
    return ready + sum(1 for job_id in task.delayed if _is_due(task, job_id, now_ms) and not _is_newer(task, job_id))


def parked_reason(task: TaskStore, job_id: str, now_ms: int) -> ParkedReason | None:
    """Why a job that could run does not."""
    record = task.jobs.get(job_id, {})
    match state(record):
        case JobState.WAITING:
            if _is_parked(task, job_id, record):
                return ParkedReason.SATURATED
            return None if is_served(task, now_ms) else ParkedReason.UNSERVED
        case JobState.DELAYED | JobState.RETRYING:
            if _is_newer(task, job_id):
                return ParkedReason.NEWER
            left = _is_due(task, job_id, now_ms) and not is_served(task, now_ms)
            return ParkedReason.UNSERVED if left else None
        case _:
            return None


def _is_parked(task: TaskStore, job_id: str, record: Record) -> bool:
    return job_id in set(task.parking.jobs_of(text(record, "concurrencyKey")))


def _is_newer(task: TaskStore, job_id: str) -> bool:
    return job_id in task.parking.newer


def _is_due(task: TaskStore, job_id: str, now_ms: int) -> bool:
    due_ms = task.delayed.score(job_id)
    return due_ms is not None and due_ms <= now_ms
