"""Errors about one job: how an attempt ends early, and how a job ends other than by completing."""

from __future__ import annotations

from typing import Literal

from taskora.contracts._durations import Duration, format_milliseconds, to_milliseconds
from taskora.contracts._errors import TaskoraError


def _job(job_id: str, task: str | None, workflow_id: str | None = None) -> str:
    if workflow_id is not None:
        return f"Workflow {workflow_id}"
    return f"Job {job_id}" if task is None else f"Job {job_id} of task {task!r}"


class RetryError(TaskoraError):
    """Raised by a handler to have its job run again, whatever the error filters say, while attempts remain.

    Attributes:
        delay_ms: How long to wait first; None leaves it to the backoff.
        reason: Why, for people.
    """

    def __init__(self, *, delay: Duration | None = None, reason: str | None = None) -> None:
        delay_ms = None if delay is None else to_milliseconds(delay, field="delay", allow_zero=True)
        when = "after its backoff" if delay_ms is None else f"in {format_milliseconds(delay_ms)}"
        super().__init__(f"Retry requested {when}: {reason}" if reason else f"Retry requested {when}")
        self.delay_ms = delay_ms
        self.reason = reason


class JobTimeoutError(TaskoraError, TimeoutError):
    """An attempt ran past its timeout, or somebody waited for a result for as long as they wanted to.

    Attributes:
        job_id: Id of the job, or of the workflow.
        task: Name of its task; of a workflow, what it is called.
        timeout_ms: The time that was allowed.
        during: `"run"` if the attempt was ended; `"wait"` if only the waiting was, and what was awaited goes on.
        workflow_id: Id of the workflow that was awaited, if it was one.
    """

    def __init__(
        self,
        *,
        job_id: str,
        timeout_ms: int,
        task: str | None = None,
        during: Literal["run", "wait"] = "run",
        workflow_id: str | None = None,
    ) -> None:
        awaited = "job" if workflow_id is None else "workflow"
        remedy = {
            "run": "give the task a longer timeout, or its jobs less to do",
            "wait": f"the {awaited} goes on; wait for longer, or look at its state",
        }[during]
        super().__init__(f"{_job(job_id, task, workflow_id)} did not complete within {timeout_ms}ms; {remedy}")
        self.workflow_id = workflow_id
        self.job_id = job_id
        self.task = task
        self.timeout_ms = timeout_ms
        self.during: Literal["run", "wait"] = during


class JobFailedError(TaskoraError):
    """The awaited job failed for good, or a step of the awaited workflow.

    Attributes:
        job_id: Id of the job: of a workflow, that of the step; its own if it is not known which step failed.
        task: Name of its task.
        error: The message of its last error; empty if none was recorded.
        attempts: How many runs it took; None if unknown.
        workflow_id: Id of the workflow that was awaited, if it was one.
    """

    def __init__(
        self,
        *,
        job_id: str,
        task: str | None,
        error: str,
        attempts: int | None = None,
        workflow_id: str | None = None,
    ) -> None:
        runs = {None: "", 1: " after 1 attempt"}.get(attempts, f" after {attempts} attempts")
        place = "" if workflow_id in (None, job_id) else f" at job {job_id} of task {task!r}"
        super().__init__(f"{_job(job_id, task, workflow_id)} failed{place}{runs}: {error or 'no error was recorded'}")
        self.workflow_id = workflow_id
        self.job_id = job_id
        self.task = task
        self.error = error
        self.attempts = attempts


class JobCancelledError(TaskoraError):
    """The job, or the workflow, was cancelled: raised to whoever awaits it, and inside the job's handler.

    Attributes:
        job_id: Id of the job, or of the workflow.
        task: Name of its task; of a workflow, what it is called.
        reason: Why, if the canceller said.
        workflow_id: Id of the workflow that was awaited, if it was one.
    """

    def __init__(
        self, *, job_id: str, task: str | None = None, reason: str | None = None, workflow_id: str | None = None
    ) -> None:
        super().__init__(f"{_job(job_id, task, workflow_id)} was cancelled: {reason or 'no reason given'}")
        self.workflow_id = workflow_id
        self.job_id = job_id
        self.task = task
        self.reason = reason


class ExpiredError(TaskoraError):
    """The job's time to live ended before a worker could start it.

    Attributes:
        job_id: Id of the job.
        task: Name of its task.
    """

    def __init__(self, *, job_id: str, task: str | None = None) -> None:
        super().__init__(
            f"{_job(job_id, task)} expired before a worker started it; add workers, or give it a longer time to live"
        )
        self.job_id = job_id
        self.task = task


class StalledError(TaskoraError):
    """The job lost its worker more often than its stall limit allows, and was given up.

    Nothing raises it yet: whoever awaits such a job gets `JobFailedError`.

    Attributes:
        job_id: Id of the job.
        task: Name of its task.
        count: How often it stalled.
        max_count: How often it might.
    """

    def __init__(self, *, job_id: str, task: str | None = None, count: int, max_count: int) -> None:
        super().__init__(
            f"{_job(job_id, task)} stalled {count} times (limit {max_count}): its worker died, "
            "or was blocked for longer than its lease; "
            "look for crashes, lack of memory, and code that blocks the event loop"
        )
        self.job_id = job_id
        self.task = task
        self.count = count
        self.max_count = max_count
