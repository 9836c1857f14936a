"""The dead-letter queue: jobs that failed for good, as work that takes several operations."""

from collections.abc import Sequence
from typing import Final

from taskora.contracts import JobState, check_job_id
from taskora.producer._inspection import TaskName, named_tasks
from taskora.wire import (
    CountJobs,
    DamagedWorkflowError,
    Flow,
    Letter,
    ReadLinks,
    RemoveFinished,
    RetryDead,
    ask,
    random_id,
    retry_letters,
)

_BATCH: Final = 100


def retry_dead(task: TaskName | None, job_id: str) -> Flow[bool]:
    """Revives one failed job; without a task, wherever it is."""
    check_job_id(job_id)
    for name in (yield from named_tasks(task)):
        reply = yield from ask(RetryDead(task=name, job_ids=(job_id,), request=_request()))
        if reply.job_ids:
            return True
        if reply.steps:
            revived, damaged = yield from _retry_steps(name, reply.steps)
            if damaged is not None:
                raise damaged
            return bool(revived)
    return False


def _request() -> str:
    return random_id()


def _retry_steps(task: str, job_ids: Sequence[str]) -> Flow[tuple[set[Letter], DamagedWorkflowError | None]]:
    """Lets the workflows of failed steps run again; they revive the jobs. A damaged one does not hinder the others."""
    links = yield from ask(ReadLinks(task=task, job_ids=job_ids))
    by_workflow: dict[str, dict[str, int]] = {}
    revived: set[Letter] = set()
    damaged: DamagedWorkflowError | None = None
    for job_id, link in zip(job_ids, links, strict=True):
        if link is not None:
            by_workflow.setdefault(link.workflow_id, {})[job_id] = link.step
        elif (yield from ask(RetryDead(task=task, job_ids=(job_id,), workflow_try=0))).job_ids:
            revived.add((task, job_id))
    for workflow_id, letters in by_workflow.items():
        try:
            revived |= yield from retry_letters(task, workflow_id, letters)
        except DamagedWorkflowError as error:
            damaged = error
    return revived, damaged


def retry_all_dead(task: TaskName | None) -> Flow[int]:
    """Revives every failed job that is there now, oldest first; not those that fail again meanwhile."""
    revived = 0
    damaged: DamagedWorkflowError | None = None
    for name in (yield from named_tasks(task)):
        waiting = (yield from ask(CountJobs(task=name))).failed
        passed_over = 0
        while waiting > 0:
            limit = min(_BATCH, waiting)
            reply = yield from ask(RetryDead(task=name, offset=passed_over, limit=limit, request=_request()))
            letters, trouble = yield from _retry_steps(name, reply.steps) if reply.steps else _nothing()
            damaged = damaged or trouble
            revived += len(reply.job_ids) + len(letters)
            passed_over += len({(name, job_id) for job_id in reply.steps} - letters)
            # A workflow that runs again revives all its jobs, also those that are further back.
            waiting -= limit + len({job_id for of_task, job_id in letters if of_task == name} - set(reply.steps))
    if damaged is not None:
        raise damaged
    return revived


def _nothing() -> Flow[tuple[set[Letter], DamagedWorkflowError | None]]:
    yield from ()
    return set(), None


def discard_dead(task: TaskName | None, job_id: str) -> Flow[bool]:
    """Deletes one failed job; without a task, wherever it is."""
    check_job_id(job_id)
    for name in (yield from named_tasks(task)):
        removal = RemoveFinished(task=name, state=JobState.FAILED, job_id=job_id, request=_request())
        if (yield from ask(removal)):
            return True
    return False
