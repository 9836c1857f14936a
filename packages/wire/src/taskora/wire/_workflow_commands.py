"""How operations of workflows are carried out by Redis."""

from collections.abc import Sequence
from typing import Any

from taskora.wire import _operations as op
from taskora.wire import _transitions as lua
from taskora.wire._call import Arg
from taskora.wire._command import Command, builds, flags, texts
from taskora.wire._job import integer_of, link_of, state_of, text_of
from taskora.wire._keys import Keyspace


@builds(op.CreateWorkflow)
def _create_workflow(operation: op.CreateWorkflow, keyspace: Keyspace, now_ms: int | None) -> Command[bool]:
    graph = operation.graph
    call = lua.create_workflow(
        workflow_key=keyspace.workflow_key(operation.workflow_id),
        now_ms=now_ms,
        graph=graph.encode(),
        name=graph.name,
        terminal=graph.terminal_line,
        ttl_ms=operation.ttl_ms,
        over=_optional(operation.given_up_ms),
        resend=operation.resend,
        plans=graph.plans(),
    )
    return Command(call, bool)


def _optional(instant_ms: int | None) -> str:
    return "" if instant_ms is None else str(instant_ms)


@builds(op.AbandonWorkflow)
def _abandon_workflow(operation: op.AbandonWorkflow, keyspace: Keyspace, now_ms: int | None) -> Command[bool]:
    key = keyspace.workflow_key(operation.workflow_id)
    return Command(lua.abandon_workflow(workflow_key=key, now_ms=now_ms, keep_ms=operation.keep_ms), bool)


@builds(op.AdvanceWorkflow)
def _advance_workflow(operation: op.AdvanceWorkflow, keyspace: Keyspace, now_ms: int | None) -> Command[op.Advanced]:
    results: list[Arg] = []
    for result in operation.results:
        results += (result.step, result.job_id, result.settled_by, result.result)
    call = lua.advance_workflow(
        workflow_key=keyspace.workflow_key(operation.workflow_id),
        now_ms=now_ms,
        keep_ms=operation.keep_ms,
        steps=results,
    )

    def decode(reply: tuple[bytes, bytes, list[list[bytes]]]) -> op.Advanced:
        state, told_in, ready = reply
        jobs = tuple(_step_job(operation.workflow_id, row) for row in ready)
        return op.Advanced(state=op.state_named(state), told_in=text_of(told_in) or "", ready=jobs)

    return Command(call, decode)


def _step_job(workflow_id: str, row: Sequence[bytes]) -> op.StepJob:
    step, task, job_id, version, data = row
    return op.StepJob(
        workflow_id=workflow_id,
        step=int(step),
        task=task.decode(),
        job_id=job_id.decode(),
        version=int(version),
        data=data,
    )


@builds(op.StopWorkflow)
def _stop_workflow(operation: op.StopWorkflow, keyspace: Keyspace, now_ms: int | None) -> Command[op.Stopped]:
    call = lua.stop_workflow(
        workflow_key=keyspace.workflow_key(operation.workflow_id),
        now_ms=now_ms,
        keep_ms=operation.keep_ms,
        outcome=operation.state,
        step=operation.step,
        job_id=operation.job_id,
        message=operation.message,
        meant_try=-1 if operation.workflow_try is None else operation.workflow_try,
        job_try=operation.job_try,
        closes=operation.closes,
    )

    def decode(reply: tuple[bytes, bytes, int, int, list[list[bytes]]]) -> op.Stopped:
        state, told_in, workflow_try, revives_in, rows = reply
        return op.Stopped(
            state=op.state_named(state),
            told_in=text_of(told_in) or "",
            jobs=tuple((task.decode(), job_id.decode()) for task, job_id in rows),
            workflow_try=workflow_try,
            revives_in=revives_in,
        )

    return Command(call, decode)


@builds(op.ReviseWorkflow)
def _revise_workflow(operation: op.ReviseWorkflow, keyspace: Keyspace, _now_ms: int | None) -> Command[bool]:
    fields: list[Arg] = []
    for name, value in operation.fields.items():
        fields += (name, value)
    call = lua.revise_workflow(
        workflow_key=keyspace.workflow_key(operation.workflow_id),
        seen_state=operation.seen_state,
        graph_sha=operation.graph_sha,
        seen_try=operation.seen_try,
        open_steps=",".join(map(str, operation.open_steps)),
        graph=operation.graph.encode(),
        forgotten=" ".join(operation.forgotten),
        mark_field=operation.mark_field,
        mark=operation.mark,
        resend=operation.resend,
        fields=fields,
    )
    return Command(call, bool)


@builds(op.ReadWorkflow)
def _read_workflow(operation: op.ReadWorkflow, keyspace: Keyspace, now_ms: int | None) -> Command[op.WorkflowFields]:
    key = keyspace.workflow_key(operation.workflow_id)
    call = lua.read_workflow(workflow_key=key, now_ms=now_ms, fields=operation.names)

    def decode(reply: tuple[int, list[bytes | None]]) -> op.WorkflowFields:
        server_ms, values = reply
        names = operation.names
        if not names:
            names, values = [text_of(name) or "" for name in values[::2]], values[1::2]
        found = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        return op.WorkflowFields(now_ms=server_ms, values=found)

    return Command(call, decode)


@builds(op.RememberWorkflow)
def _remember_workflow(operation: op.RememberWorkflow, keyspace: Keyspace, now_ms: int | None) -> Command[bool]:
    call = lua.remember_workflow(
        running_workflows_key=keyspace.running_workflows_key,
        ended_workflows_key=keyspace.ended_workflows_key,
        workflow_tries_key=keyspace.workflow_tries_key,
        now_ms=now_ms,
        workflow_id=operation.workflow_id,
        look_ms=operation.look_ms,
        announced_try=operation.workflow_try,
    )
    return Command(call, bool)


@builds(op.DueWorkflows)
def _due_workflows(operation: op.DueWorkflows, keyspace: Keyspace, now_ms: int | None) -> Command[op.WorkflowsDue]:
    call = lua.due_workflows(
        running_workflows_key=keyspace.running_workflows_key,
        now_ms=now_ms,
        limit=operation.limit,
        again_ms=operation.again_ms,
    )
    return Command(call, lambda reply: op.WorkflowsDue(again_at_ms=reply[0], workflow_ids=texts(reply[1])))


@builds(op.FileWorkflow)
def _file_workflow(operation: op.FileWorkflow, keyspace: Keyspace, now_ms: int | None) -> Command[bool]:
    call = lua.file_workflow(
        running_workflows_key=keyspace.running_workflows_key,
        ended_workflows_key=keyspace.ended_workflows_key,
        workflow_tries_key=keyspace.workflow_tries_key,
        now_ms=now_ms,
        workflow_id=operation.workflow_id,
        listed=operation.listed,
        keep_ms=operation.keep_ms,
        max_items=operation.max_items,
        look_at_ms=_optional(operation.look_at_ms),
        ended_try=-1 if operation.workflow_try is None else operation.workflow_try,
    )
    return Command(call, bool)


@builds(op.ListWorkflows)
def _list_workflows(operation: op.ListWorkflows, keyspace: Keyspace, _now_ms: int | None) -> Command[tuple[str, ...]]:
    call = lua.list_workflows(
        workflows_key=keyspace.ended_workflows_key if operation.ended else keyspace.running_workflows_key,
        newest_first=operation.ended,
        offset=operation.offset,
        limit=operation.limit,
    )
    return Command(call, texts)


@builds(op.DescribeWorkflow)
def _describe_workflow(
    operation: op.DescribeWorkflow, keyspace: Keyspace, _now_ms: int | None
) -> Command[op.WorkflowSummary | None]:
    call = lua.describe_workflow(workflow_key=keyspace.workflow_key(operation.workflow_id))

    def decode(row: list[bytes | None]) -> op.WorkflowSummary | None:
        state = op.state_named(row[0] or b"") if row else None
        if state is None:
            return None
        name, created, finished, deadline, error, *steps = row[1:]
        return op.WorkflowSummary(
            workflow_id=operation.workflow_id,
            state=state,
            name=text_of(name) or "",
            created_ms=integer_of(created) or 0,
            finished_ms=integer_of(finished),
            deadline_ms=integer_of(deadline),
            error=text_of(error),
            steps={text_of(step) or "": int(count or 0) for step, count in zip(steps[::2], steps[1::2], strict=True)},
        )

    return Command(call, decode)


@builds(op.EnqueueSteps)
def _enqueue_steps(operation: op.EnqueueSteps, keyspace: Keyspace, now_ms: int | None) -> Command[tuple[bool, ...]]:
    steps: list[Arg] = []
    for step in operation.steps:
        steps += (step.workflow_id, step.step, step.job_id, step.data)
    call = lua.enqueue_steps(
        keys=keyspace.task(operation.task), now_ms=now_ms, version=operation.version, max_attempts=1, steps=steps
    )
    return Command(call, flags)


@builds(op.ReadUntold)
def _read_untold(operation: op.ReadUntold, keyspace: Keyspace, now_ms: int | None) -> Command[Any]:
    call = lua.read_untold(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        min_age_ms=operation.min_age_ms,
        limit=operation.limit,
    )
    return Command(call, lambda reply: tuple(_ended_step(operation.task, row) for row in reply))


def _ended_step(task: str, row: Sequence[bytes]) -> op.EndedStep:
    """An entry of the notes: job_id, workflow_id, step, state, result, error, cancel_reason, settled_by."""
    job_id, workflow_id, step, state, result, error, reason, settled_by = row
    return op.EndedStep(
        task=task,
        job_id=text_of(job_id) or "",
        link=link_of(workflow_id, step),
        state=state_of(state),
        result=result,
        error=text_of(error) or "",
        cancel_reason=text_of(reason) or "",
        settled_by=text_of(settled_by) or "",
    )


@builds(op.ForgetUntold)
def _forget_untold(operation: op.ForgetUntold, keyspace: Keyspace, _now_ms: int | None) -> Command[int]:
    return Command(lua.forget_untold(keys=keyspace.task(operation.task), job_ids=operation.job_ids), int)


@builds(op.PostponeUntold)
def _postpone_untold(operation: op.PostponeUntold, keyspace: Keyspace, now_ms: int | None) -> Command[tuple[str, ...]]:
    call = lua.postpone_untold(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        shortest_ms=operation.shortest_ms,
        longest_ms=operation.longest_ms,
        give_up_ms=-1 if operation.give_up_ms is None else operation.give_up_ms,
        job_ids=operation.job_ids,
    )
    return Command(call, texts)


@builds(op.TellWorkflowEnd)
def _tell_workflow_end(operation: op.TellWorkflowEnd, keyspace: Keyspace, _now_ms: int | None) -> Command[bool]:
    call = lua.tell_workflow_end(
        keys=keyspace.task(operation.task), workflow_id=operation.workflow_id, state=operation.state
    )
    return Command(call, bool)
