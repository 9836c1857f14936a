"""Changing the graph of a workflow: steps that are spawned while it runs, and another try of one that has stopped."""

import hashlib
import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from taskora.contracts import MAX_STEPS, JobState, UsageError
from taskora.wire import _operations as op
from taskora.wire._flows import Flow, ask
from taskora.wire._job import JobStatus, text_of
from taskora.wire._workflow_flows import FIRST_LOOK_MS
from taskora.wire._workflow_graph import WorkflowGraph, WorkflowStep, numbers_of
from taskora.wire._workflow_record import WorkflowRecord, read_workflow
from taskora.wire._workflow_repair import repair_workflow, step_statuses

_NUMBER: Final = re.compile(r"\d+")


def spawn_steps(link: op.StepLink, job_id: str, spawned: Sequence[WorkflowGraph]) -> Flow[bool]:
    """Plans what shall run once a step has its result, and before those that wait for it.

    What an earlier attempt of the same job had planned is dropped: none of it has run. False when the workflow does not
    run any more, or the job is not the step's.

    Raises:
        UsageError: the workflow would have too many steps.
    """
    while True:
        record = yield from read_workflow(link.workflow_id)
        if record is None or record.state != "running" or not _may_spawn(record, link.step, job_id):
            return False
        if (yield from ask(_with_spawned(record, link.step, spawned))):
            return True


def _may_spawn(record: WorkflowRecord, number: int, job_id: str) -> bool:
    steps = record.graph.steps
    owns = 0 <= number < len(steps) and steps[number].job_id == job_id
    return owns and record.state_of(number) != "completed" and not record.is_held(number)


def _with_spawned(record: WorkflowRecord, parent: int, spawned: Sequence[WorkflowGraph]) -> op.ReviseWorkflow:
    steps = list(record.graph.steps)
    dropped = {*_dropped(record), *(number for number, step in enumerate(steps) if step.parent == parent)}
    outputs: list[int] = []
    for part in spawned:
        outputs += (len(steps) + number for number in part.terminal)
        steps += _moved(part, len(steps), parent)
    if len(steps) > MAX_STEPS:
        raise UsageError(f"a workflow may have at most {MAX_STEPS} steps: spawning would make it {len(steps)}")
    graph = replace(record.graph, steps=tuple(steps))
    fields = {f"n:{number}:state": "pending" for number in range(len(record.graph.steps), len(steps))}
    fields |= {f"n:{number}:state": "cancelled" for number in dropped}
    fields["py:spawned:" + str(parent)] = ",".join(map(str, outputs))
    fields["py:dropped"] = ",".join(map(str, sorted(dropped)))
    return _revision(record, graph, fields, open_step=parent)


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


def _dropped(record: WorkflowRecord) -> tuple[int, ...]:
    return numbers_of(text_of(record.fields.get("py:dropped")) or "")


def _revision(
    record: WorkflowRecord,
    graph: WorkflowGraph,
    fields: dict[str, str],
    *,
    forgotten: Sequence[str] = (),
    open_step: int = -1,
) -> op.ReviseWorkflow:
    """Replaces the graph, and those plans that are not the same any more."""
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
        open_step=open_step,
    )


def reopen_workflow(workflow_id: str) -> Flow[bool]:
    """Lets a workflow that failed, or was cancelled, go on from where it stopped; false if it has not.

    Steps that have completed keep their results. A failed job is revived from the dead letters; one that was cancelled
    stays as it is, and its step gets another job. The time limit, if there is one, begins again.
    """
    record = yield from read_workflow(workflow_id)
    if record is None or record.state not in ("failed", "cancelled"):
        return False
    had_jobs = _had_jobs(record)
    statuses = yield from step_statuses(record, had_jobs)
    yield from ask(op.RememberWorkflow(workflow_id=workflow_id, look_ms=FIRST_LOOK_MS))
    if not (yield from ask(_reopened(record, statuses))):
        return False
    for number, status in statuses.items():
        if status is not None and status.state is JobState.FAILED:
            step = record.graph.steps[number]
            yield from ask(op.RetryDead(task=step.task, job_id=step.job_id))
    yield from repair_workflow(workflow_id)
    return True


def _had_jobs(record: WorkflowRecord) -> list[int]:
    cascade = numbers_of(text_of(record.fields.get("py:cascade")) or "")
    stopped = [number for number in range(len(record.graph.steps)) if f"n:{number}:error" in record.fields]
    if "py:cascade" not in record.fields:  # another program stopped it, and did not say whom that concerned
        stopped = [number for number in range(len(record.graph.steps)) if record.state_of(number) != "completed"]
    return sorted({*cascade, *stopped})


def _reopened(record: WorkflowRecord, statuses: dict[int, JobStatus | None]) -> op.ReviseWorkflow:
    dropped = _dropped(record)
    steps = list(record.graph.steps)
    fields: dict[str, str] = {}
    for number, step in enumerate(steps):
        if number in dropped or record.state_of(number) == "completed":
            continue
        is_open = number in statuses or f"n:{number}:result" in record.fields
        fields[f"n:{number}:state"] = "active" if is_open else "pending"
        if _is_spent(statuses.get(number)):
            steps[number] = replace(step, job_id=str(uuid.uuid4()))
    if record.ttl_ms is not None:
        fields["py:deadline"] = str(record.now_ms + record.ttl_ms)
    errors = [f"n:{number}:error" for number in range(len(steps)) if f"n:{number}:error" in record.fields]
    forgotten = ("error", "result", "py:finishedAt", "py:cascade", *errors)
    return _revision(record, replace(record.graph, steps=tuple(steps)), fields, forgotten=forgotten)


def _is_spent(status: JobStatus | None) -> bool:
    """Whether a job cannot serve its step any more: it was cancelled, is about to be, or has expired."""
    if status is None or status.state in (JobState.COMPLETED, JobState.FAILED):
        return False
    return status.state.is_terminal or status.cancel_reason is not None
