"""Changing the graph of a workflow: steps that are spawned while it runs, and another try of one that has stopped."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from taskora.contracts import MAX_STEPS, JobState, UsageError
from taskora.contracts.records import record, replace
from taskora.wire import _operations as op
from taskora.wire._flows import Flow, ask
from taskora.wire._ids import random_id
from taskora.wire._job import JobStatus, text_of
from taskora.wire._workflow_flows import FIRST_LOOK_MS, cancel_steps, reason_of, settle_workflow
from taskora.wire._workflow_graph import AttemptPlan, WorkflowGraph, WorkflowStep, plans_of
from taskora.wire._workflow_record import WorkflowRecord, read_workflow, read_workflow_status
from taskora.wire._workflow_repair import repair_workflow, step_statuses

_NUMBER: Final = re.compile(r"\d+")
Letter: TypeAlias = tuple[str, str]  # a failed job: its task, and its id


@record
class Spawn:
    """What an attempt of a step has spawned. `token` is that of its claim, which tells it from other attempts."""

    step: int
    job_id: str
    token: str
    parts: Sequence[WorkflowGraph]


def spawn_steps(workflow_id: str, spawns: Sequence[Spawn]) -> Flow[list[bool | UsageError] | None]:
    """Plans what shall run once steps have their results, and before those that wait for them.

    Plans of several attempts of a step stand side by side: which one counts is known when one of them has its result.
    What has been planned already is not planned again.

    Returns:
        For each, whether it is planned: not if the workflow does not run any more, or the job is not the step's; an
        error where the workflow would have too many steps. None if the workflow has changed meanwhile: ask again, after
        a pause.
    """
    record = yield from read_workflow(workflow_id)
    if record is None or record.state != "running":
        return [False for _ in spawns]
    additions = _Additions(record)
    replies = [additions.add(spawn) for spawn in spawns]
    if additions.is_empty or (yield from ask(additions.revision())):
        return replies
    return None


class _Additions:
    """The steps that one revision adds."""

    def __init__(self, record: WorkflowRecord) -> None:
        self._record = record
        self._steps = list(record.graph.steps)
        self._planned: dict[int, str] = {}

    @property
    def is_empty(self) -> bool:
        return not self._planned

    def add(self, spawn: Spawn) -> bool | UsageError:
        """Adds what one attempt has spawned."""
        if not _may_spawn(self._record, spawn.step, spawn.job_id):
            return False
        name = f"py:planned:{spawn.step}"
        planned = self._planned.get(spawn.step, text_of(self._record.fields.get(name)) or "")
        if any(plan.token == spawn.token for plan in plans_of(planned)):
            return True
        first, count = len(self._steps), sum(len(part.steps) for part in spawn.parts)
        if first + count > MAX_STEPS:
            return UsageError(f"a workflow may have at most {MAX_STEPS} steps: spawning would make it {first + count}")
        outputs: list[int] = []
        for part in spawn.parts:
            outputs += (len(self._steps) + number for number in part.terminal)
            self._steps += _moved(part, len(self._steps), spawn.step)
        line = ",".join(map(str, outputs))
        plan = AttemptPlan(token=spawn.token, first=first, last=len(self._steps) - 1, outputs=line)
        self._planned[spawn.step] = planned + plan.encode()
        return True

    def revision(self) -> op.ReviseWorkflow:
        """What writes them."""
        record = self._record
        fields = {f"n:{number}:state": "pending" for number in range(len(record.graph.steps), len(self._steps))}
        fields |= {f"py:planned:{step}": line for step, line in self._planned.items()}
        return _revision(record, replace(record.graph, steps=tuple(self._steps)), fields, open_steps=[*self._planned])


def _may_spawn(record: WorkflowRecord, number: int, job_id: str) -> bool:
    steps = record.graph.steps
    owns = 0 <= number < len(steps) and steps[number].job_id == job_id
    return owns and record.state_of(number) != "completed" and not record.is_held(number)


def _moved(part: WorkflowGraph, offset: int, parent: int) -> list[WorkflowStep]:
    """The steps of a part, numbered from `offset` on; its first ones wait for the parent, and may take its output."""
    moved: list[WorkflowStep] = []
    for step in part.steps:
        shape = str(parent) if not step.deps and step.data is None else step.shape
        if step.deps and shape is not None:
            shape = _NUMBER.sub(lambda match: str(int(match[0]) + offset), shape)
        deps = tuple(dep + offset for dep in step.deps) or (parent,)
        moved.append(replace(step, deps=deps, shape=shape, parent=parent))
    return moved


def _revision(
    record: WorkflowRecord,
    graph: WorkflowGraph,
    fields: dict[str, str],
    *,
    forgotten: Sequence[str] = (),
    open_steps: Sequence[int] = (),
) -> op.ReviseWorkflow:
    """Replaces the graph, and those plans that are not the same any more."""
    import hashlib  # loads OpenSSL, for what few programs do

    plans = {f"py:plan:{number}": plan for number, plan in enumerate(graph.plans())}
    changed = {name: plan for name, plan in plans.items() if record.fields.get(name) != plan.encode()}
    beside = {"py:count": str(len(graph.steps)), "py:terminal": graph.terminal_line}
    return op.ReviseWorkflow(
        workflow_id=record.workflow_id,
        seen_state=record.state,
        graph_sha=hashlib.sha1(record.fields["graph"], usedforsecurity=False).hexdigest(),
        graph=graph,
        fields={**fields, **changed, **beside},
        forgotten=forgotten,
        open_steps=open_steps,
        seen_try=record.workflow_try,
        mark_field="py:spawning" if open_steps else "py:reopened",
        mark=random_id(),
    )


def reopen_workflow(workflow_id: str) -> Flow[bool]:
    """Lets a workflow that failed, or was cancelled, go on from where it stopped; false if it has not.

    Steps that have completed keep their results. A failed job is revived from the dead letters; one that was cancelled
    stays as it is, and its step gets another job. The time limit, if there is one, begins again. Of several who ask at
    once, one is told true.
    """
    return (yield from _reopen(workflow_id)) is not None


def retry_letters(task: str, workflow_id: str, letters: Mapping[str, int]) -> Flow[set[Letter]]:
    """Lets a workflow run again for the sake of dead letters of one task, given as job id and step.

    Tells which letters live again, those of other steps included. A letter whose step has got another job is left
    alone: nobody would take its result. Where the workflow is gone, the jobs are revived for themselves.

    Raises:
        DamagedWorkflowError: its record cannot be read.
    """
    record = yield from read_workflow(workflow_id)
    if record is None:
        revived = yield from ask(op.RetryDead(task=task, job_ids=[*letters], workflow_try=0))
        return {(task, job_id) for job_id in revived.job_ids}
    current = {job_id: step for job_id, step in letters.items() if record.is_job_of(step, job_id)}
    if not current:
        return set()
    if record.state == "running":  # nobody told it yet that they failed, or who let it run again did not come to them
        failures = [_failed(task, workflow_id, job_id, step) for job_id, step in current.items()]
        yield from settle_workflow(workflow_id, failures)
    reopened = yield from _reopen(workflow_id)
    status = yield from read_workflow_status(workflow_id)
    if reopened is None and (status is None or status.state != "running"):
        return set()
    return {(task, job_id) for job_id in current} | (reopened or set())


def _failed(task: str, workflow_id: str, job_id: str, step: int) -> op.EndedStep:
    link = op.StepLink(workflow_id=workflow_id, step=step)
    return op.EndedStep(task=task, job_id=job_id, link=link, state=JobState.FAILED)


def _reopen(workflow_id: str) -> Flow[set[Letter] | None]:
    """The dead letters that live again; None if the workflow has not stopped."""
    is_announced = False
    while True:
        record = yield from read_workflow(workflow_id)
        if record is None or record.state not in ("failed", "cancelled"):
            if is_announced:  # it may have ended, and may be on the list for no other reason
                yield from repair_workflow(workflow_id)
            return None
        # From now on nobody takes it off the list who saw it stopped.
        announced = op.RememberWorkflow(
            workflow_id=workflow_id, look_ms=FIRST_LOOK_MS, workflow_try=record.workflow_try + 1
        )
        is_announced = yield from ask(announced)
        statuses = yield from _stopped_jobs(record, record.state)
        if (yield from ask(_reopened(record, statuses))):
            yield from repair_workflow(workflow_id)
            return {_letter(record, number) for number, status in statuses.items() if _is_dead(status)}


def _letter(record: WorkflowRecord, number: int) -> Letter:
    step = record.graph.steps[number]
    return step.task, step.job_id


def _is_dead(status: JobStatus | None) -> bool:
    return status is not None and status.state is JobState.FAILED


def _stopped_jobs(record: WorkflowRecord, state: op.StoppedState) -> Flow[dict[int, JobStatus | None]]:
    """The jobs of a workflow that has stopped, once all that was to be cancelled is.

    Nobody does so any more when it runs again. Another program that stopped it did not say whom that concerned: then it
    is all jobs that have not ended.
    """
    steps = record.graph.steps
    had_jobs = [number for number in range(len(steps)) if record.state_of(number) != "completed"]
    cancelled: Sequence[int] = record.cascade
    if "py:cascade" in record.fields:
        had_jobs = [number for number in had_jobs if number in cancelled or f"n:{number}:error" in record.fields]
    else:
        statuses = yield from step_statuses(record, had_jobs)
        cancelled = [number for number, status in statuses.items() if status and not status.state.is_terminal]
    jobs = [(steps[number].task, steps[number].job_id) for number in cancelled]
    yield from cancel_steps(jobs, reason_of(state, record.error or ""), record.workflow_try)
    return (yield from step_statuses(record, had_jobs))


def _reopened(record: WorkflowRecord, statuses: dict[int, JobStatus | None]) -> op.ReviseWorkflow:
    dropped = record.dropped
    steps = list(record.graph.steps)
    next_try = record.workflow_try + 1
    fields = {"py:try": str(next_try)}
    forgotten = ["error", "result", "py:finishedAt", "py:cascade"]
    for number, step in enumerate(steps):
        forgotten += [name for name in (f"n:{number}:error", f"py:revive:{number}") if name in record.fields]
        if number in dropped or record.state_of(number) == "completed":
            continue
        status = statuses.get(number)
        is_open = status is not None or (number in statuses and _has_inputs(record, number))
        fields[f"n:{number}:state"] = "active" if is_open or f"n:{number}:result" in record.fields else "pending"
        if _is_dead(status):
            fields[f"py:revive:{number}"] = str(next_try)
        elif number in statuses and (status is None or status.state is not JobState.COMPLETED):
            steps[number] = replace(step, job_id=random_id())
    if record.ttl_ms is not None:
        fields["py:deadline"] = str(record.now_ms + record.ttl_ms)
    return _revision(record, replace(record.graph, steps=tuple(steps)), fields, forgotten=forgotten)


def _has_inputs(record: WorkflowRecord, number: int) -> bool:
    """Whether a step could start. A spawned one starts when the step that spawned it has its result."""
    step = record.graph.steps[number]
    return all(
        record.state_of(dep) == "completed" or (dep == step.parent and f"n:{dep}:result" in record.fields)
        for dep in step.deps
    )
