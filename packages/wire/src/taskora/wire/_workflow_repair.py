"""Finding and finishing what somebody began for a workflow and did not finish."""

from collections.abc import Sequence
from typing import Final

from taskora.contracts import JobState
from taskora.contracts.records import record, replace
from taskora.wire import _operations as op
from taskora.wire._flows import Flow, ask, may_pass
from taskora.wire._job import JobStatus
from taskora.wire._workflow_flows import (
    FIRST_LOOK_MS,
    LONGEST_LOOK_MS,
    NotTold,
    advance,
    enqueue_steps,
    file_workflow,
    postpone_telling,
    settle_steps,
    settle_workflow,
    stop,
    time_out,
)
from taskora.wire._workflow_record import WorkflowRecord, decode_workflow

DUE_AT_ONCE: Final = 20
UNTOLD_AT_ONCE: Final = 200
_READ_AT_ONCE: Final = 500
_REVIVED_AT_ONCE: Final = 500
# What was settled just now is being told by the one who settled it.
UNTOLD_AGE_MS: Final = 2000


@record
class Unrepaired:
    """A workflow whose look failed, and why. The next look at it is due later."""

    workflow_id: str
    error: Exception


def sweep_workflows() -> Flow[tuple[Unrepaired, ...]]:
    """Looks at the workflows whose look is due, whatever is wrong with some of them; tells which looks failed."""
    due = yield from ask(op.DueWorkflows(limit=DUE_AT_ONCE, again_ms=FIRST_LOOK_MS))
    failed: list[Unrepaired] = []
    for workflow_id in due.workflow_ids:
        unrepaired = yield from look_at_workflow(workflow_id, due.again_at_ms)
        if unrepaired is not None:
            failed.append(unrepaired)
    return tuple(failed)


def look_at_workflow(workflow_id: str, look_at_ms: int) -> Flow[Unrepaired | None]:
    """Looks at one workflow that was due, and is due again at an instant.

    One that is damaged, or of which the server refuses to know, is put off for long.
    """
    try:
        yield from repair_workflow(workflow_id, look_at_ms=look_at_ms)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one workflow concerns no other
        if not may_pass(error):
            yield from ask(op.RememberWorkflow(workflow_id=workflow_id, look_ms=LONGEST_LOOK_MS))
        return Unrepaired(workflow_id=workflow_id, error=error)
    return None


def sweep_untold(task: str, min_age_ms: int = UNTOLD_AGE_MS) -> Flow[tuple[NotTold, ...]]:
    """Tells workflows of jobs of a task that ended, and nobody told of; tells which workflows could not be told.

    Those are put off, so that they do not stand in the way of others.
    """
    ended = yield from ask(op.ReadUntold(task=task, min_age_ms=min_age_ms, limit=UNTOLD_AT_ONCE))
    not_told = (yield from settle_steps(ended)) if ended else ()
    for workflow in not_told:
        yield from postpone_telling(workflow)
    return not_told


def repair_workflow(workflow_id: str, *, look_at_ms: int | None = None) -> Flow[None]:
    """Looks at one workflow, and finishes whatever was left undone.

    Sweepers say when its next look is due, so that they can tell a workflow that nobody is about to create.

    Raises:
        DamagedWorkflowError: its record cannot be read.
    """
    stored = yield from ask(op.ReadWorkflow(workflow_id=workflow_id))
    record = decode_workflow(workflow_id, stored)
    if record is None:
        # Announced and never created, or ended long ago. Nobody may create it once it is off the list, unless they
        # announce it again: then it stays there.
        yield from ask(op.AbandonWorkflow(workflow_id=workflow_id))
        if look_at_ms is not None:
            yield from ask(op.FileWorkflow(workflow_id=workflow_id, listed=False, look_at_ms=look_at_ms))
    elif record.state == "completed":
        yield from file_workflow(workflow_id, record.state, _told_in(record), None)
    elif record.state != "running":
        yield from _finish_stopping(record, record.state)
    elif record.is_overdue:
        yield from time_out(workflow_id, record.workflow_try)
    else:
        yield from ask(op.RememberWorkflow(workflow_id=workflow_id, look_ms=_next_look_ms(record)))
        yield from _repair_steps(record)


def _finish_stopping(record: WorkflowRecord, state: op.StoppedState) -> Flow[None]:
    """Cancels what may not be cancelled yet, and files the workflow; not if it runs again meanwhile."""
    stopped = op.StopWorkflow(
        workflow_id=record.workflow_id, state=state, message=record.error or "", workflow_try=record.workflow_try
    )
    reply, is_filed = yield from stop(stopped)
    if reply.told_in and not is_filed:
        # Somebody announced another try, and did not begin it in time: now nobody can, until it is announced again.
        yield from stop(replace(stopped, closes=True))


def _told_in(record: WorkflowRecord) -> str:
    terminal = record.graph.terminal
    return record.graph.steps[terminal[0]].task if terminal else ""


def _next_look_ms(record: WorkflowRecord) -> int:
    """The longer a workflow has been running, the longer it can wait; never past its deadline."""
    look_ms = min(max((record.now_ms - record.created_ms) // 4, FIRST_LOOK_MS), LONGEST_LOOK_MS)
    return look_ms if record.deadline_ms is None else max(min(look_ms, record.deadline_ms - record.now_ms), 1)


def _repair_steps(record: WorkflowRecord) -> Flow[None]:
    missing: list[op.StepJob] = []
    ended: list[op.EndedStep] = []
    dead: list[int] = []
    statuses = yield from step_statuses(record, record.open_jobs)
    for number, status in statuses.items():
        if status is None:
            missing.append(_job(record, number))
        elif status.state is JobState.FAILED and status.workflow_try < record.revives_in(number):
            dead.append(number)
        elif status.state.is_terminal:
            ended.append(_ended(record, number, status))
    yield from _revive(record, dead)
    yield from enqueue_steps((yield from _still_open(missing)))
    yield from settle_workflow(record.workflow_id, ended)
    released = [number for number in range(len(record.graph.steps)) if _could_complete(record, number)]
    if released:
        yield from advance(record.workflow_id, [_result(record, number) for number in released])


def _revive(record: WorkflowRecord, dead: Sequence[int]) -> Flow[None]:
    """Revives the jobs that failed in an earlier try."""
    by_task: dict[str, list[str]] = {}
    for number in dead:
        step = record.graph.steps[number]
        by_task.setdefault(step.task, []).append(step.job_id)
    for task, job_ids in by_task.items():
        for start in range(0, len(job_ids), _REVIVED_AT_ONCE):
            batch = job_ids[start : start + _REVIVED_AT_ONCE]
            yield from ask(op.RetryDead(task=task, job_ids=batch, workflow_try=record.workflow_try))


def _still_open(jobs: Sequence[op.StepJob]) -> Flow[list[op.StepJob]]:
    """Those whose steps are open still: of the others the jobs are gone because all is done."""
    if not jobs:
        return []
    names = [f"n:{job.step}:state" for job in jobs]
    stored = yield from ask(op.ReadWorkflow(workflow_id=jobs[0].workflow_id, names=names))
    return [job for job, name in zip(jobs, names, strict=True) if stored.values.get(name) in (b"pending", b"active")]


def _could_complete(record: WorkflowRecord, number: int) -> bool:
    """A step that waits for nothing any more: another program completed what it had spawned."""
    return record.is_held(number) and all(record.state_of(step) == "completed" for step in record.spawned_by(number))


def _result(record: WorkflowRecord, number: int) -> op.StepResult:
    return op.StepResult(step=number, job_id=record.graph.steps[number].job_id, result=record.result_of(number))


def step_statuses(record: WorkflowRecord, numbers: Sequence[int]) -> Flow[dict[int, JobStatus | None]]:
    """Where the jobs of some steps stand."""
    by_task: dict[str, list[int]] = {}
    for number in numbers:
        by_task.setdefault(record.graph.steps[number].task, []).append(number)
    found: dict[int, JobStatus | None] = {}
    for task, of_task in by_task.items():
        for start in range(0, len(of_task), _READ_AT_ONCE):
            batch = of_task[start : start + _READ_AT_ONCE]
            job_ids = [record.graph.steps[number].job_id for number in batch]
            statuses = yield from ask(op.ReadStatuses(task=task, job_ids=job_ids))
            found.update(zip(batch, statuses, strict=True))
    return found


def _job(record: WorkflowRecord, number: int) -> op.StepJob:
    step = record.graph.steps[number]
    return op.StepJob(
        workflow_id=record.workflow_id,
        step=number,
        task=step.task,
        job_id=step.job_id,
        version=step.version,
        data=step.input(record.result_of),
    )


def _ended(record: WorkflowRecord, number: int, status: JobStatus) -> op.EndedStep:
    step = record.graph.steps[number]
    return op.EndedStep(
        task=step.task,
        job_id=step.job_id,
        link=op.StepLink(workflow_id=record.workflow_id, step=number),
        state=status.state,
        result=status.result or b"",
        error=status.error or "",
        cancel_reason=status.cancel_reason or "",
        workflow_try=status.workflow_try,
        settled_by=status.settled_by,
    )
