"""Handles: what a dispatch gives back."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from taskora.contracts import Duration, JobState, TaskoraError
from taskora.producer._awaiting import Deadline
from taskora.producer._cancelling import cancel_job
from taskora.producer._results import ResultReader
from taskora.producer._session import Session
from taskora.wire import LogEntry, ReadLogs, ReadStatuses

O = TypeVar("O")  # noqa: E741 - output


class JobHandle(Generic[O]):
    """One job, wherever it runs.

    Attributes:
        id: Id of the job this handle follows.
        existing_id: Id of the job that was there already, if the dispatch created none. None also for a dispatch that
            was throttled: there is no job to follow.
    """

    __slots__ = ("_reader", "_rejection", "_session", "existing_id", "id")

    # By position: many are made, and names cost as much as all the rest.
    def __init__(
        self,
        session: Session,
        reader: ResultReader[O],
        job_id: str,
        existing_id: str | None = None,
        rejection: TaskoraError | None = None,
    ) -> None:
        self._session: Final = session
        self._reader: Final = reader
        self._rejection: Final = rejection
        self.id: Final = job_id
        self.existing_id: Final = existing_id

    @property
    def enqueued(self) -> bool:
        """Whether the dispatch created the job."""
        return self.existing_id is None and self._rejection is None

    @property
    def task(self) -> str:
        """Name of the task."""
        return self._reader.task

    def result(self, timeout: Duration | None = None) -> O:
        """Waits for the job's result; without a timeout for as long as the job takes.

        Raises:
            JobTimeoutError: the timeout passed first; the job goes on.
            JobFailedError: the job failed for good.
            JobCancelledError: it was cancelled.
            ExpiredError: it did not start within its time to live.
            ThrottledError: the dispatch was rejected, so there is no job.
            UnknownJobError: there is no such job, or retention has removed it.
            ValidationError: the result does not fit the contract.
            BackendError: the server cannot be reached. A wait that has begun outlasts that.
        """
        if self._rejection is not None:
            raise self._rejection
        status = self._session.settled(self.task, self.id, Deadline.after(timeout))
        return self._reader.read(self.id, status)

    def state(self) -> JobState | None:
        """Where the job stands; None when there is no such job."""
        (status,) = self._session.run(ReadStatuses(task=self.task, job_ids=(self.id,)))
        return None if status is None else status.state

    def progress(self) -> object:
        """The last progress that the handler reported, as a plain value; None if there was none."""
        from taskora.producer._inspection import plain_value

        (status,) = self._session.run(ReadStatuses(task=self.task, job_ids=(self.id,)))
        return None if status is None else plain_value(status.progress, self._session.json)

    def logs(self) -> tuple[LogEntry, ...]:
        """What the handler logged, oldest first."""
        return self._session.run(ReadLogs(task=self.task, job_id=self.id))

    def cancel(self, reason: str = "") -> bool:
        """Cancels the job, or asks the worker that runs it to; false if it has ended or never was."""
        return self._session.drive(cancel_job(self.task, self.id, reason))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.task}/{self.id}>"
