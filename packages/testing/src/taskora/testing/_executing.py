"""One job from its dispatch to its end."""

from typing import Any, TypeVar

from taskora.contracts import JobState, UnknownJobError
from taskora.producer import AsyncJobHandle
from taskora.testing._reports import Execution
from taskora.testing._stage import Stage
from taskora.wire import JsonSerializer, ReadJob
from taskora.worker import Implementation

O = TypeVar("O")  # noqa: E741 - output


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
