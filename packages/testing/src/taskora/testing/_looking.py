"""What a runner says about its jobs when it is asked."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from taskora.contracts import JobState
from taskora.producer import JobInfo, Producer
from taskora.testing._reports import ParkedJob, ParkReason
from taskora.wire import CountJobs, JobRecord, ListJobs, ReadJob, Serializer, SyncBackend, drive, read_jobs
from taskora.worker import Implementation

_ALL: Final = 1_000_000
_DAY_MS: Final = 24 * 3600 * 1000
# How long the time may go on for a job that is ready, and that nobody runs; and for one whose handler waits for others.
_READY_MS: Final = _DAY_MS
_ACTIVE_MS: Final = 31 * _DAY_MS

Implementations = Mapping[str, Implementation[Any, Any]]


def job_infos(backend: SyncBackend, serializer: Serializer | None, jobs: list[tuple[str, str]]) -> list[JobInfo]:
    """The jobs that are still there, in the given order."""
    inspector = Producer(backend, serializer=serializer).inspector
    found = (inspector.find(task, job_id) for task, job_id in jobs)
    return [info for info in found if info is not None]


def parked_jobs(backend: SyncBackend, implementations: Implementations, tasks: list[str]) -> Iterator[ParkedJob]:
    """Jobs that are ready although everything that could run has run, and why each was left."""
    for task in tasks:
        implementation = implementations.get(task)
        counts = backend.run(CountJobs(task=task))
        states = (JobState.WAITING,) * (counts.waiting > 0) + (JobState.DELAYED,) * (counts.newer > 0)
        for state in states:
            for record in drive(read_jobs(ListJobs(task=task, state=state, limit=_ALL)), backend.run):
                reason = _reason(record, implementation)
                if reason is not None:
                    yield ParkedJob(task=task, job_id=record.job_id, reason=reason)


def _reason(record: JobRecord, implementation: Implementation[Any, Any] | None) -> ParkReason | None:
    if record.parked_reason is not None:
        return record.parked_reason.value
    if record.status.state is not JobState.WAITING:
        return None
    if implementation is None:
        return "unserved"
    return "paced" if implementation.pace.max else "busy"


def is_unfinished(
    reader: SyncBackend, implementation: Implementation[Any, Any], job_id: str, begin_ms: int, due_ms: int
) -> bool:
    """Whether letting the time go on to `due_ms` may bring a job closer to its end."""
    record = reader.run(ReadJob(task=implementation.task, job_id=job_id))
    if record is None or record.status.state.is_terminal or record.version > implementation.version:
        return False
    if record.status.state in (JobState.DELAYED, JobState.RETRYING):
        return True  # it has an instant of its own
    patience_ms = _ACTIVE_MS if record.status.state is JobState.ACTIVE else _READY_MS
    return due_ms <= begin_ms + patience_ms
