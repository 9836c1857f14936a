"""enqueue: (none) -> waiting | delayed."""

from taskora.wire._operations import Enqueue, NewJob
from taskora.wire.backends._memory._creating import create, wake_for
from taskora.wire.backends._memory._task import TaskStore


def enqueue(task: TaskStore, operation: Enqueue, now_ms: int) -> tuple[bool, ...]:
    """Creates the jobs whose ids are free."""
    created: list[NewJob] = []
    flags: list[bool] = []
    for job in operation.jobs:
        existing = task.jobs.get(job.job_id)
        if existing is None:
            create(task, operation, job, now_ms)
            created.append(job)
        flags.append(existing is None or (operation.resend and existing["data"] == job.data))
    wake_for(task, created, now_ms)
    return tuple(flags)
