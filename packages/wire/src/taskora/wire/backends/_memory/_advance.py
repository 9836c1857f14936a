"""advance_workflow: running -> running | completed."""

from taskora.wire import _operations as op
from taskora.wire._workflow_graph import plans_of
from taskora.wire.backends._memory._record import encoded, text, write
from taskora.wire.backends._memory._workflows import StoredWorkflow, Workflows, state_of, told_in


def advance_workflow(workflows: Workflows, operation: op.AdvanceWorkflow, now_ms: int) -> op.Advanced:
    """Notes results, and finds out what can start."""
    found = workflows.find(operation.workflow_id, now_ms)
    if found is None:
        return op.Advanced(state=None, told_in="", ready=())
    state = state_of(found)
    if state != "running":
        return op.Advanced(state=state, told_in=told_in(found), ready=())
    advance = _Advance(found, operation.workflow_id)
    for result in operation.results:
        advance.note(result)
    if advance.anything_completed and found.all_completed(found.graph.terminal):
        _finish(found, now_ms)
        workflows.keep_until(operation.workflow_id, now_ms + operation.keep_ms)
        return op.Advanced(state="completed", told_in=told_in(found), ready=tuple(advance.ready.values()))
    return op.Advanced(state=state, told_in="", ready=tuple(advance.ready.values()))


def _finish(found: StoredWorkflow, now_ms: int) -> None:
    results = [found.result_of(step) or b"null" for step in found.graph.terminal]
    result = results[0] if len(results) == 1 else b"[" + b",".join(results) + b"]"
    write(found.fields, state="completed", result=result)
    found.fields["py:finishedAt"] = encoded(now_ms)


class _Advance:
    """One call."""

    def __init__(self, workflow: StoredWorkflow, workflow_id: str) -> None:
        self._workflow = workflow
        self._workflow_id = workflow_id
        self.ready: dict[int, op.StepJob] = {}
        self.anything_completed = False

    def note(self, result: op.StepResult) -> None:
        """Takes the result of a step, unless its job is not the step's any more."""
        workflow, step = self._workflow, result.step
        if not workflow.owns(step, result.job_id):
            return
        found = workflow.state_of(step)
        again = found == "completed" or workflow.is_held(step)
        if not again and found in ("pending", "active"):
            self._choose_plan(step, result.settled_by)
        if again or found in ("pending", "active"):
            self._complete(step, workflow.result_of(step) if again else result.result, again=again)

    def _choose_plan(self, step: int, settled_by: str) -> None:
        """Of what attempts planned, that of the one whose result was stored counts."""
        fields = self._workflow.fields
        for plan in plans_of(text(fields, f"py:planned:{step}")):
            if plan.token == settled_by:
                fields[f"py:spawned:{step}"] = encoded(plan.outputs)
                continue
            for index in range(plan.first, plan.last + 1):
                fields[f"n:{index}:state"] = b"cancelled"
            dropped = ",".join(map(str, range(plan.first, plan.last + 1)))
            fields["py:dropped"] = encoded(f"{text(fields, 'py:dropped')},{dropped}".lstrip(","))
        fields.pop(f"py:planned:{step}", None)

    def _complete(self, step: int, result: bytes, *, again: bool) -> None:
        workflow = self._workflow
        workflow.fields[f"n:{step}:result"] = result
        if not workflow.all_spawned_completed(step):
            workflow.fields[f"n:{step}:state"] = b"active"
            for follower in workflow.followers(step):
                if workflow.graph.steps[follower].parent == step:
                    self._start(follower, again=again)
            return
        workflow.fields[f"n:{step}:state"] = b"completed"
        self.anything_completed = True
        for follower in workflow.followers(step):
            if workflow.all_completed(workflow.graph.steps[follower].deps):
                self._start(follower, again=again)
        parent = workflow.graph.steps[step].parent
        if parent is not None and workflow.is_held(parent) and workflow.all_spawned_completed(parent):
            self._complete(parent, workflow.result_of(parent), again=again)

    def _start(self, step: int, *, again: bool) -> None:
        workflow = self._workflow
        found = workflow.state_of(step)
        if found == "pending":
            workflow.fields[f"n:{step}:state"] = b"active"
        elif not (found == "active" and again and not workflow.is_held(step)):
            return
        planned = workflow.graph.steps[step]
        self.ready.setdefault(
            step,
            op.StepJob(
                workflow_id=self._workflow_id,
                step=step,
                task=planned.task,
                job_id=planned.job_id,
                version=planned.version,
                data=planned.input(workflow.result_of),
            ),
        )
