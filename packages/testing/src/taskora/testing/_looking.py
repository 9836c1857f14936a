"""What a runner says about its jobs when it is asked."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from taskora.contracts import JobState
from taskora.producer import JobInfo, Producer
from taskora.testing._reports import ParkedJob, ParkReason
from taskora.wire import CountJobs, JobRecord, ListJobs, Serializer, SyncBackend
from taskora.worker import Implementation

_ALL: Final = 1_000_000

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
        if counts.waiting:
            for record in backend.run(ListJobs(task=task, state=JobState.WAITING, limit=_ALL)):
                yield ParkedJob(task=task, job_id=record.job_id, reason=_reason(record, implementation))
        if implementation is not None and counts.delayed:
            for record in backend.run(ListJobs(task=task, state=JobState.DELAYED, limit=_ALL)):
                if record.version > implementation.version:
                    yield ParkedJob(task=task, job_id=record.job_id, reason="newer version")


def _reason(record: JobRecord, implementation: Implementation[Any, Any] | None) -> ParkReason:
    if implementation is None:
        return "no implementation"
    if "concurrencyKey" in record.fields:
        return "concurrency key"
    return "rate limit" if implementation.pace.max else "no free slot"
