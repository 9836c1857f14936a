"""The inspector and the dead-letter queue."""

from __future__ import annotations

import builtins
from typing import Any, Final, overload

from taskora.contracts import JobState, TaskContract
from taskora.producer._dead_letters import discard_dead, retry_all_dead, retry_dead
from taskora.producer._inspection import (
    DEFAULT_LIMIT,
    JobInfo,
    MigrationInfo,
    TaskName,
    TaskStats,
    find_job,
    list_jobs,
    migrations,
    stats,
    task_and_job,
)
from taskora.producer._session import Session
from taskora.producer._workflow_results import WorkflowInfo, list_workflows
from taskora.wire import WorkflowState


class Inspector:
    """Looks at jobs; changes nothing.

    Without a task, all tasks that ever had a job are looked at, and `limit` and `offset` count per task.
    """

    def __init__(self, session: Session) -> None:
        self._session: Final = session

    def stats(self, task: TaskName | None = None) -> dict[str, TaskStats]:
        """Counts by task."""
        return self._session.drive(stats(task))

    @overload
    def find(self, job_id: str, /) -> JobInfo | None: ...
    @overload
    def find(self, task: TaskName, job_id: str, /) -> JobInfo | None: ...
    def find(self, first: TaskName, second: str | None = None, /) -> JobInfo | None:
        """A job; None when there is no such job.

        `find(job_id)` looks in all tasks, `find(contract_or_name, job_id)` in one.
        """
        task, job_id = task_and_job(first, second)
        return self._session.drive(find_job(task, job_id, self._session.plain))

    def workflows(
        self, state: WorkflowState | None = None, *, limit: int = DEFAULT_LIMIT, offset: int = 0
    ) -> list[WorkflowInfo]:
        """Workflows: those that run, then those that have ended, newest first; or only those in one state.

        Ended ones are listed for as long as their records live: a day if they completed, else seven.
        """
        return self._session.drive(list_workflows(state, limit, offset))

    def migrations(self, contract: TaskContract[Any, Any]) -> MigrationInfo:
        """Which payload versions the jobs of a task have that may still run, and how far `since` may be raised.

        Looks at every one of those jobs, some thousands per request: for operators, not for loops. Jobs that move
        meanwhile may be counted twice; one that goes back to be retried may be missed.
        """
        return self._session.drive(migrations(contract))

    def waiting(self, task: TaskName | None = None, *, limit: int = DEFAULT_LIMIT, offset: int = 0) -> list[JobInfo]:
        """Jobs that are ready, in the order in which they will leave."""
        return self._list(JobState.WAITING, task, limit, offset)

    def active(self, task: TaskName | None = None, *, limit: int = DEFAULT_LIMIT, offset: int = 0) -> list[JobInfo]:
        """Jobs that are running, oldest claim first."""
        return self._list(JobState.ACTIVE, task, limit, offset)

    def delayed(self, task: TaskName | None = None, *, limit: int = DEFAULT_LIMIT, offset: int = 0) -> list[JobInfo]:
        """Jobs that were dispatched to run later, by due time."""
        return self._list(JobState.DELAYED, task, limit, offset)

    def retrying(self, task: TaskName | None = None, *, limit: int = DEFAULT_LIMIT, offset: int = 0) -> list[JobInfo]:
        """Jobs that wait for their next attempt, by due time."""
        return self._list(JobState.RETRYING, task, limit, offset)

    def completed(self, task: TaskName | None = None, *, limit: int = DEFAULT_LIMIT, offset: int = 0) -> list[JobInfo]:
        """Jobs that have a result, newest first."""
        return self._list(JobState.COMPLETED, task, limit, offset)

    def failed(self, task: TaskName | None = None, *, limit: int = DEFAULT_LIMIT, offset: int = 0) -> list[JobInfo]:
        """Jobs that failed for good, newest first."""
        return self._list(JobState.FAILED, task, limit, offset)

    def expired(self, task: TaskName | None = None, *, limit: int = DEFAULT_LIMIT, offset: int = 0) -> list[JobInfo]:
        """Jobs that did not start in time, newest first."""
        return self._list(JobState.EXPIRED, task, limit, offset)

    def cancelled(self, task: TaskName | None = None, *, limit: int = DEFAULT_LIMIT, offset: int = 0) -> list[JobInfo]:
        """Jobs that were cancelled, newest first."""
        return self._list(JobState.CANCELLED, task, limit, offset)

    def _list(self, state: JobState, task: TaskName | None, limit: int, offset: int) -> list[JobInfo]:
        return self._session.drive(list_jobs(state, task, limit, offset, self._session.plain))


class DeadLetters:
    """The jobs that failed for good."""

    def __init__(self, session: Session) -> None:
        self._session: Final = session

    def list(
        self, task: TaskName | None = None, *, limit: int = DEFAULT_LIMIT, offset: int = 0
    ) -> builtins.list[JobInfo]:
        """Failed jobs, newest first; without a task, limit and offset count per task."""
        return self._session.drive(list_jobs(JobState.FAILED, task, limit, offset, self._session.plain))

    @overload
    def retry(self, job_id: str, /) -> bool: ...
    @overload
    def retry(self, task: TaskName, job_id: str, /) -> bool: ...
    def retry(self, first: TaskName, second: str | None = None, /) -> bool:
        """Makes a failed job wait again, with all its attempts; false when it is not here.

        If it is the job of a workflow, the workflow runs again, and keeps what was done.

        `retry(job_id)` looks in all tasks, `retry(contract_or_name, job_id)` in one.
        """
        return self._session.drive(retry_dead(*task_and_job(first, second)))

    def retry_all(self, task: TaskName | None = None) -> int:
        """Makes every failed job wait again; returns how many."""
        return self._session.drive(retry_all_dead(task))

    @overload
    def discard(self, job_id: str, /) -> bool: ...
    @overload
    def discard(self, task: TaskName, job_id: str, /) -> bool: ...
    def discard(self, first: TaskName, second: str | None = None, /) -> bool:
        """Deletes a failed job; false when it is not here. Arguments are those of `retry`."""
        return self._session.drive(discard_dead(*task_and_job(first, second)))
