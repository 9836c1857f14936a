"""The dead-letter queue: jobs that failed for good, as work that takes several operations."""

from typing import Final

from taskora.contracts import JobState, check_job_id
from taskora.producer._inspection import TaskName, named_tasks
from taskora.wire import CountJobs, Flow, RemoveFinished, RetryDead, ask

_BATCH: Final = 100


def retry_dead(task: TaskName | None, job_id: str) -> Flow[bool]:
    """Revives one failed job; without a task, wherever it is."""
    check_job_id(job_id)
    for name in (yield from named_tasks(task)):
        if (yield from ask(RetryDead(task=name, job_id=job_id))):
            return True
    return False


def retry_all_dead(task: TaskName | None) -> Flow[int]:
    """Revives every failed job that is there now, oldest first; not those that fail again meanwhile."""
    revived = 0
    for name in (yield from named_tasks(task)):
        counts = yield from ask(CountJobs(task=name))
        for start in range(0, counts.failed, _BATCH):
            limit = min(_BATCH, counts.failed - start)
            revived += len((yield from ask(RetryDead(task=name, limit=limit))))
    return revived


def discard_dead(task: TaskName | None, job_id: str) -> Flow[bool]:
    """Deletes one failed job; without a task, wherever it is."""
    check_job_id(job_id)
    for name in (yield from named_tasks(task)):
        if (yield from ask(RemoveFinished(task=name, state=JobState.FAILED, job_id=job_id))):
            return True
    return False
