"""The dead-letter queue: jobs that failed for good, as work that takes several operations."""

from typing import Final

from taskora.contracts import JobState
from taskora.producer._inspection import TaskName, all_tasks, named_tasks
from taskora.wire import Flow, RemoveFinished, RetryDead, ask

_BATCH: Final = 100


def retry_dead(job_id: str) -> Flow[bool]:
    """Revives one failed job, wherever it is."""
    for task in (yield from all_tasks()):
        if (yield from ask(RetryDead(task=task, job_id=job_id))):
            return True
    return False


def retry_all_dead(task: TaskName | None) -> Flow[int]:
    """Revives every failed job that is there now."""
    revived = 0
    for name in (yield from named_tasks(task)):
        while True:
            batch = yield from ask(RetryDead(task=name, limit=_BATCH))
            revived += len(batch)
            if len(batch) < _BATCH:
                break
    return revived


def discard_dead(job_id: str) -> Flow[bool]:
    """Deletes one failed job, wherever it is."""
    for task in (yield from all_tasks()):
        if (yield from ask(RemoveFinished(task=task, state=JobState.FAILED, job_id=job_id))):
            return True
    return False
