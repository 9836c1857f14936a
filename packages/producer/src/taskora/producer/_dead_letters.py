"""The dead-letter queue: jobs that failed for good, as work that takes several operations."""

from collections.abc import Sequence
from typing import Final

from taskora.contracts import JobState, check_job_id
from taskora.producer._inspection import TaskName, named_tasks
from taskora.wire import CountJobs, Flow, ReadLinks, RemoveFinished, RetryDead, ask, reopen_workflow

_BATCH: Final = 100


def retry_dead(task: TaskName | None, job_id: str) -> Flow[bool]:
    """Revives one failed job; without a task, wherever it is."""
    check_job_id(job_id)
    for name in (yield from named_tasks(task)):
        if (yield from ask(RetryDead(task=name, job_id=job_id))):
            yield from _reopen(name, (job_id,))
            return True
    return False


def _reopen(task: str, job_ids: Sequence[str]) -> Flow[None]:
    """Lets the workflows of revived jobs run again."""
    links = yield from ask(ReadLinks(task=task, job_ids=job_ids))
    for workflow_id in dict.fromkeys(link.workflow_id for link in links if link is not None):
        yield from reopen_workflow(workflow_id)


def retry_all_dead(task: TaskName | None) -> Flow[int]:
    """Revives every failed job that is there now, oldest first; not those that fail again meanwhile."""
    revived = 0
    for name in (yield from named_tasks(task)):
        counts = yield from ask(CountJobs(task=name))
        for start in range(0, counts.failed, _BATCH):
            limit = min(_BATCH, counts.failed - start)
            job_ids = yield from ask(RetryDead(task=name, limit=limit))
            revived += len(job_ids)
            if job_ids:
                yield from _reopen(name, job_ids)
    return revived


def discard_dead(task: TaskName | None, job_id: str) -> Flow[bool]:
    """Deletes one failed job; without a task, wherever it is."""
    check_job_id(job_id)
    for name in (yield from named_tasks(task)):
        if (yield from ask(RemoveFinished(task=name, state=JobState.FAILED, job_id=job_id))):
            return True
    return False
