"""One job from its dispatch to its end."""

from typing import Any, Final, TypeVar

from taskora.contracts import JobState, UnknownJobError
from taskora.producer import AsyncJobHandle
from taskora.testing._reports import Execution
from taskora.testing._stage import Stage
from taskora.wire import JsonSerializer, ReadJob, SyncBackend
from taskora.worker import Implementation

O = TypeVar("O")  # noqa: E741 - output

# How long the time may go on for a job that is ready, and that nobody runs.
_PATIENCE_MS: Final = 24 * 3600 * 1000


def is_unfinished(
    reader: SyncBackend, implementation: Implementation[Any, Any], job_id: str, begin_ms: int, due_ms: int
) -> bool:
    """Whether letting the time go on to `due_ms` may bring a job closer to its end."""
    record = reader.run(ReadJob(task=implementation.task, job_id=job_id))
    if record is None or record.status.state.is_terminal or record.version > implementation.version:
        return False
    has_its_instant = record.status.state in (JobState.DELAYED, JobState.RETRYING)
    return has_its_instant or due_ms <= begin_ms + _PATIENCE_MS


def execution_of(stage: Stage, implementation: Implementation[Any, Any], handle: AsyncJobHandle[O]) -> Execution[O]:
    """How far a job got.

    Raises:
        UnknownJobError: nothing of it is left.
    """
    task = implementation.task
    record = stage.reader.run(ReadJob(task=task, job_id=handle.id))
    if record is None:
        raise UnknownJobError(job_id=handle.id, task=task)
    status = record.status
    completed = status.state is JobState.COMPLETED
    return Execution(
        state=status.state,
        result=implementation.payloads.output.decode(status.result or b"") if completed else None,
        attempts=stage.journal.attempts(task, handle.id),
        logs=record.logs,
        progress=None if status.progress is None else JsonSerializer().loads(status.progress),
        error=status.error,
        handle=handle,
        timeline=stage.journal.timeline(task, handle.id),
    )
