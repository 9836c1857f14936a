"""Rules of workflows: making, advancing, stopping and revising them; their jobs run like any other."""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, rule

from taskora.contracts import JobState
from taskora.wire import _operations as op
from taskora.wire._workflow_graph import WorkflowGraph, WorkflowStep
from tests.properties.pair import MINUTE_MS, TASKS, Name, Pair, jobs, tasks

# Per step, those that it waits for. All that no other waits for are terminal.
SHAPES: Final[dict[str, list[tuple[int, ...]]]] = {
    "one": [()],
    "chain": [(), (0,), (1,)],
    "pair": [(), ()],
    "fan": [(), (0,), (0,), (1, 2)],
}


TOKEN: Final = "token"


class Made(NamedTuple):
    """A workflow that somebody began to make."""

    workflow_id: str
    graph: WorkflowGraph


workflows: Bundle[Made] = Bundle("workflows")


class Workflowing(Pair):
    """What producers, workers and sweepers do to workflows. Any of them may die between two operations."""

    @rule(
        target=workflows,
        shape=st.sampled_from([*SHAPES]),
        ttl_ms=st.sampled_from([0, MINUTE_MS]),
        done=st.sampled_from(["enqueued", "enqueued", "created", "remembered"]),
    )
    def make_workflow(self, shape: str, ttl_ms: int, done: str) -> Made:
        made = Made(self.fresh("w"), self._graph(SHAPES[shape]))
        self.both(op.RememberWorkflow(workflow_id=made.workflow_id, look_ms=MINUTE_MS))
        if done != "remembered":
            self.both(op.CreateWorkflow(workflow_id=made.workflow_id, graph=made.graph, ttl_ms=ttl_ms))
        if done == "enqueued":
            self._enqueue_roots(made)
        return made

    def _graph(self, shape: list[tuple[int, ...]]) -> WorkflowGraph:
        steps = [
            WorkflowStep(
                task=TASKS[number % 2], deps=deps, job_id=self.fresh("s"), version=1, data=None if deps else b"1"
            )
            for number, deps in enumerate(shape)
        ]
        followed = {dep for deps in shape for dep in deps}
        terminal = tuple(number for number in range(len(shape)) if number not in followed)
        return WorkflowGraph(steps=tuple(steps), terminal=terminal, name="n")

    def _enqueue_roots(self, made: Made) -> None:
        steps = ((number, made.graph.steps[number]) for number in made.graph.roots)
        self._enqueue_steps(
            op.StepJob(
                workflow_id=made.workflow_id,
                step=number,
                task=step.task,
                job_id=step.job_id,
                version=step.version,
                data=step.data or b"null",
            )
            for number, step in steps
        )

    def _enqueue_steps(self, steps: Iterable[op.StepJob]) -> None:
        for task, of_task in groupby(sorted(steps, key=lambda step: step.task), lambda step: step.task):
            self.both(op.EnqueueSteps(task=task, version=1, steps=[*of_task]))

    @rule(made=workflows, resend=st.booleans(), knows=st.booleans())
    def create_workflow_late(self, made: Made, resend: bool, knows: bool) -> None:
        found = self.both(op.ReadWorkflow(workflow_id=made.workflow_id, names=["createdAt"])).values
        given_up_ms = int(found["createdAt"]) if knows and found else None
        create = op.CreateWorkflow(workflow_id=made.workflow_id, graph=made.graph, given_up_ms=given_up_ms)
        if self.both(create.again() if resend else create):
            self._enqueue_roots(made)

    @rule(made=workflows)
    def abandon_workflow(self, made: Made) -> None:
        self.both(op.AbandonWorkflow(workflow_id=made.workflow_id))

    @rule(made=workflows, done=st.sampled_from(["all", "all", "advanced"]), result=st.sampled_from([b"1", b"", b"[2]"]))
    def advance_workflow(self, made: Made, done: str, result: bytes) -> None:
        """Tells of every step whose job has completed; and of one that has not, which may happen after damage."""
        results = [self._result(number, step, result) for number, step in enumerate(made.graph.steps)]
        reply = self.both(
            op.AdvanceWorkflow(workflow_id=made.workflow_id, results=[found for found in results if found])
        )
        if done == "all":
            self._enqueue_steps(reply.ready)
            self._file_if_ended(made, reply.state, reply.told_in)

    advance_workflow_2 = advance_workflow_3 = advance_workflow

    def _result(self, number: int, step: WorkflowStep, otherwise: bytes) -> op.StepResult | None:
        view = self.views[step.task]
        if step.job_id not in view.records or view.state(step.job_id) is not JobState.COMPLETED:
            return None
        result = view.records[step.job_id].get("result", otherwise)
        settled_by = TOKEN if number else ""
        return op.StepResult(step=number, job_id=step.job_id, result=result, settled_by=settled_by)

    def _file_if_ended(
        self, made: Made, state: op.WorkflowState | None, told_in: str, workflow_try: int | None = None
    ) -> None:
        if state not in (None, "running"):
            if told_in:
                self.both(op.TellWorkflowEnd(task=told_in, workflow_id=made.workflow_id, state=state))
            self.both(
                op.FileWorkflow(
                    workflow_id=made.workflow_id, listed=bool(told_in), max_items=2, workflow_try=workflow_try
                )
            )

    @rule(
        made=workflows,
        state=st.sampled_from(["failed", "cancelled"]),
        step=st.sampled_from([-1, 0, 1, 9]),
        job=st.booleans(),
        done=st.sampled_from(["all", "stopped"]),
        tries=st.sampled_from([(None, 0), (None, 1), (0, 0), (1, 2)]),
        closes=st.booleans(),
    )
    def stop_workflow(
        self,
        made: Made,
        state: Any,
        step: int,
        job: bool,
        done: str,
        tries: tuple[int | None, int],
        closes: bool,
    ) -> None:
        """Because of one of its steps, of a job that is not the step's any more, or from outside."""
        steps = made.graph.steps
        job_id = steps[step].job_id if job and 0 <= step < len(steps) else ""
        reply = self.both(
            op.StopWorkflow(
                workflow_id=made.workflow_id,
                state=state,
                message="why",
                step=step,
                job_id=job_id,
                workflow_try=tries[0],
                job_try=tries[1],
                closes=closes,
            )
        )
        if done == "all":
            for task, of_task in groupby(reply.jobs, lambda stopped: stopped[0]):
                names = [name for _, name in of_task]
                self.both(
                    op.CancelSteps(task=task, job_ids=names, reason="workflow stopped", workflow_try=reply.workflow_try)
                )
            self._file_if_ended(made, reply.state, reply.told_in, reply.workflow_try)

    @rule(made=workflows, step=st.sampled_from([-1, 0]), state=st.sampled_from(["completed", "cancelled"]))
    def end_a_step(self, made: Made, step: int, state: Any) -> None:
        """As those do who repeat what they were told, after others did it."""
        planned = made.graph.steps[step]
        self.both(op.CancelSteps(task=planned.task, job_ids=[planned.job_id], reason="workflow stopped"))
        self.both(op.TellWorkflowEnd(task=planned.task, workflow_id=made.workflow_id, state=state))

    @rule(made=workflows, step=st.sampled_from([0, 1]), outdated=st.booleans(), opens=st.booleans())
    def revise_workflow(self, made: Made, step: int, outdated: bool, opens: bool) -> None:
        """Runs again from one step on."""
        found = self.both(op.ReadWorkflow(workflow_id=made.workflow_id)).values
        state = op.state_named(found.get("state", b"")) or "running"
        graph = found.get("graph", b"") + (b"?" if outdated else b"")
        seen_try = int(found.get("py:try", b"0"))
        last = len(made.graph.steps) - 1
        plans = f"{TOKEN} {last} {last} {last};other {last} {last} {last};"
        fields = {f"n:{step}:state": "pending", f"py:revive:{step}": str(seen_try + 1), f"py:planned:{step}": plans}
        self.both(op.RememberWorkflow(workflow_id=made.workflow_id, look_ms=MINUTE_MS, workflow_try=seen_try + 1))
        revision = op.ReviseWorkflow(
            workflow_id=made.workflow_id,
            seen_state=state,
            graph_sha=hashlib.sha1(graph).hexdigest(),
            graph=made.graph,
            fields={"py:try": str(seen_try + 1), **(fields if step < len(made.graph.steps) else {})},
            forgotten=["error", "py:cascade", f"n:{step}:error"],
            open_steps=[step] if opens else [],
            seen_try=seen_try,
            mark=self.fresh("m"),
        )
        reply = self.both(revision)
        if reply:
            assert self.both(revision.again())

    @rule(made=workflows, limit=st.integers(0, 3), since=st.booleans())
    def forget_workflow(self, made: Made, limit: int, since: bool) -> None:
        """As a sweeper does with one that was never created, unless somebody has remembered it since."""
        due = self.both(op.DueWorkflows(limit=limit, again_ms=MINUTE_MS))
        if since:
            self.both(op.RememberWorkflow(workflow_id=made.workflow_id, look_ms=MINUTE_MS))
        self.both(op.FileWorkflow(workflow_id=made.workflow_id, listed=False, look_at_ms=due.again_at_ms))

    @rule(task=tasks, limit=st.integers(0, 3), told=st.booleans(), min_age_ms=st.sampled_from([0, MINUTE_MS]))
    def sweep_workflows(self, task: str, limit: int, told: bool, min_age_ms: int) -> None:
        due = self.both(op.DueWorkflows(limit=limit, again_ms=MINUTE_MS))
        for workflow_id in due.workflow_ids:
            self.both(op.ReadWorkflow(workflow_id=workflow_id, names=["state", "py:deadline", "nothing"]))
        untold = self.both(op.ReadUntold(task=task, min_age_ms=min_age_ms, limit=limit))
        ids = [step.job_id for step in untold]
        self._look_at_workflows(task, ids, limit)
        if told:
            assert self.both(op.ForgetUntold(task=task, job_ids=ids)) == len(ids)

    @rule(name=jobs, give_up_ms=st.sampled_from([None, 0, MINUTE_MS]))
    def postpone_untold(self, name: Name, give_up_ms: int | None) -> None:
        """Of a job that may be no step, may not have ended, and may not be there."""
        noted = self.views[name.task].ids("workflow:untold")
        ids = [name.job_id, *noted[:1]]
        given_up = self.both(
            op.PostponeUntold(task=name.task, job_ids=ids, shortest_ms=10, longest_ms=MINUTE_MS, give_up_ms=give_up_ms)
        )
        assert set(given_up) <= set(noted)

    def _look_at_workflows(self, task: str, ids: Sequence[str], limit: int) -> None:
        self.both(op.ReadLinks(task=task, job_ids=[*ids, "j0"]))
        for ended in (False, True):
            for workflow_id in self.both(op.ListWorkflows(ended=ended, offset=limit // 2, limit=limit)):
                self.both(op.DescribeWorkflow(workflow_id=workflow_id))

    @rule(target=jobs, made=workflows)
    def name_the_job_of_a_step(self, made: Made) -> Name:
        """From now on it may be cancelled, removed, and dispatched again as any other."""
        step = made.graph.steps[0]
        return Name(step.task, step.job_id)
