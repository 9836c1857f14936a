"""What a finished job means to whoever waits for it."""

from typing import Generic, TypeVar

from taskora.contracts import (
    ExpiredError,
    JobCancelledError,
    JobFailedError,
    JobState,
    UnknownJobError,
    ValidationError,
)
from taskora.contracts.records import record
from taskora.producer._awaiting import Awaited, Deadline, wait_until_ended
from taskora.producer._payload import PayloadCodec
from taskora.wire import Flow, JobStatus, ReadStatuses, ask

O = TypeVar("O")  # noqa: E741 - output


@record(kw_only=False)
class ResultReader(Generic[O]):
    """Turns the end of a job into its result, or into the error that says why there is none."""

    task: str
    codec: PayloadCodec[O]

    def read(self, job_id: str, status: JobStatus | None) -> O:
        """The result.

        Raises:
            JobFailedError, JobCancelledError, ExpiredError: how else the job ended.
            UnknownJobError: there is no such job, or no longer.
            ValidationError: the result does not fit the contract.
        """
        task = self.task
        if status is None:
            raise UnknownJobError(job_id=job_id, task=task)
        match status.state:
            case JobState.COMPLETED:
                return self._decode(job_id, status.result or b"")
            case JobState.CANCELLED:
                raise JobCancelledError(job_id=job_id, task=task, reason=status.cancel_reason or None)
            case JobState.EXPIRED:
                raise ExpiredError(job_id=job_id, task=task)
            case _:
                raise JobFailedError(job_id=job_id, task=task, error=status.error or "", attempts=status.attempt)

    def _decode(self, job_id: str, result: bytes) -> O:
        try:
            return self.codec.decode(result)
        except ValidationError as error:
            raise error.for_job(job_id) from error.__cause__


def expired_status() -> JobStatus:
    """The status of a job that an event says expired, and that whoever expired it left nothing of."""
    return JobStatus(
        state=JobState.EXPIRED, attempt=0, processed_on_ms=None, finished_on_ms=None,
        result=None, error=None, cancel_reason=None, progress=None,
    )  # fmt: skip


def is_settled(status: JobStatus | None) -> bool:
    """Whether there is nothing more to wait for: the job ended, or does not exist."""
    return status is None or status.state.is_terminal


def job_ended(task: str, job_id: str, deadline: Deadline) -> Flow[JobStatus | None]:
    """Waits for the end of one job on a connection of the caller's own. The reply is None for a job that is not there.

    Raises as `wait_until_ended` does.
    """
    awaited = Awaited(task, job_id)
    status, event = yield from wait_until_ended(awaited, lambda: _look(task, job_id), is_settled, deadline)
    return expired_status() if status is None and event == "expired" else status


def _look(task: str, job_id: str) -> Flow[JobStatus | None]:
    (status,) = yield from ask(ReadStatuses(task=task, job_ids=(job_id,)))
    return status
