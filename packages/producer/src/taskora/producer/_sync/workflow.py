"""Workflows: dispatched as a whole, and followed as a whole."""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar, cast

from taskora.contracts import Duration, UnknownJobError, UsageError, check_job_id, define_task, to_milliseconds
from taskora.producer._awaiting import Awaited, Deadline
from taskora.producer._session import Session
from taskora.producer._workflow_building import Plan, WholeOutput
from taskora.producer._workflow_results import WorkflowNode, raise_if_stopped, read_nodes, read_output
from taskora.wire import (
    JsonSerializer,
    WorkflowState,
    cancel_workflow,
    create_workflow,
    create_workflow_once,
    random_id,
    read_workflow,
    read_workflow_status,
    reopen_workflow,
)

O = TypeVar("O")  # noqa: E741 - output


class WorkflowHandle(Generic[O]):
    """One workflow, wherever its steps run.

    Attributes:
        id: Id of the workflow.
        name: What it is called.
        ttl: How long it may take, in seconds; None for as long as it takes.
    """

    __slots__ = ("_plan", "_session", "id", "name", "ttl")

    def __init__(self, session: Session, workflow_id: str, plan: Plan, ttl_ms: int) -> None:
        self._session: Final = session
        self._plan: Final = plan
        self.id: Final = workflow_id
        self.name: Final = plan.graph.name
        self.ttl: Final = ttl_ms / 1000 if ttl_ms else None

    def result(self, timeout: Duration | None = None) -> O:
        """Waits for the workflow's result; without a timeout for as long as the workflow takes.

        Raises:
            JobTimeoutError: the timeout passed first; the workflow goes on.
            JobFailedError: a step failed for good; the error names its job and its task.
            JobCancelledError: the workflow was cancelled, or one of its jobs; or its time to live was over.
            UnknownJobError: there is no such workflow any more.
            ValidationError: a result does not fit its contract.
            BackendError: the server cannot be reached. A wait that has begun outlasts that.
        """
        graph = self._plan.graph
        told_in = graph.steps[graph.terminal[0]].task
        awaited = Awaited(told_in, self.id, workflow=self.name)
        status = self._session.workflow_ended(awaited, Deadline.after(timeout))
        self._session.drive(raise_if_stopped(self.id, self.name, status))
        return cast("O", self._session.drive(read_output(self.id, self._plan)))

    def state(self) -> WorkflowState | None:
        """`running`, `completed`, `failed` or `cancelled`; None when there is no such workflow."""
        status = self._session.drive(read_workflow_status(self.id))
        return None if status is None else status.state

    def nodes(self) -> list[WorkflowNode]:
        """The steps, in the order in which they are written, those that were spawned last."""
        return self._session.drive(read_nodes(self.id, self._session.plain))

    def cancel(self, reason: str = "") -> bool:
        """Cancels the workflow: no further step starts, jobs that wait end, those that run are asked to.

        Returns false if it has ended already, or never was.
        """
        return self._session.drive(cancel_workflow(self.id, reason))

    def retry(self) -> bool:
        """Lets a workflow that failed, or was cancelled, go on: what has completed stays, the rest runs.

        A time limit begins again. Returns false if there is nothing to retry.
        """
        return self._session.drive(reopen_workflow(self.id))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}/{self.id}>"


def find_workflow(session: Session, workflow_id: str, output: Any) -> WorkflowHandle[Any]:
    """A handle to a workflow that exists."""
    record = session.drive(read_workflow(check_job_id(workflow_id, field="workflow_id")))
    if record is None:
        raise UnknownJobError(job_id=workflow_id, workflow_id=workflow_id)
    codec = session.payloads(define_task("workflow", output=output)).output
    plan = Plan(record.graph, WholeOutput(record.graph, codec))
    return WorkflowHandle(session, workflow_id, plan, record.ttl_ms or 0)


def dispatch_workflow(
    session: Session, plan: Plan, ttl: Duration | None, workflow_id: str | None
) -> WorkflowHandle[Any]:
    """Stores a workflow, and enqueues its first steps; under an id that exists, finds the workflow instead."""
    ttl_ms = 0 if ttl is None else to_milliseconds(ttl, field="ttl")
    if not isinstance(session.plain, JsonSerializer):
        rule = "a JsonSerializer, or None, to dispatch workflows: the results of steps are put together as text"
        raise UsageError.for_field("serializer", session.plain, rule)
    if workflow_id is None:
        workflow_id = random_id()
        session.drive(create_workflow(workflow_id, plan.graph, ttl_ms))
        return WorkflowHandle(session, workflow_id, plan, ttl_ms)
    check_job_id(workflow_id, field="workflow_id")
    existing = session.drive(create_workflow_once(workflow_id, plan.graph, ttl_ms))
    if existing is None:
        return WorkflowHandle(session, workflow_id, plan, ttl_ms)
    return WorkflowHandle(session, workflow_id, Plan(existing.graph, plan.output), existing.ttl_ms or 0)
