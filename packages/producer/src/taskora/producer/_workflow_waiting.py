"""Waiting for the end of a workflow."""

from taskora.producer._awaiting import Awaited, Deadline, wait_until_ended
from taskora.wire import Flow, WorkflowStatus, read_workflow_status, time_out


def has_ended(status: WorkflowStatus | None) -> bool:
    """Whether there is nothing to wait for: the workflow has ended, or does not exist."""
    return status is None or status.state != "running"


def look_at_workflow(workflow_id: str) -> Flow[WorkflowStatus | None]:
    """Where a workflow stands; one whose time is over is ended first, in case nobody else does."""
    status = yield from read_workflow_status(workflow_id)
    if status is not None and status.state == "running" and status.is_overdue:
        yield from time_out(workflow_id, status.workflow_try)
        status = yield from read_workflow_status(workflow_id)
    return status


def workflow_ended(awaited: Awaited, deadline: Deadline) -> Flow[WorkflowStatus | None]:
    """Waits for the end of a workflow on a connection of the caller's own; None for one that is not there.

    Raises as `wait_until_ended` does.
    """
    status, _ = yield from wait_until_ended(awaited, lambda: look_at_workflow(awaited.id), has_ended, deadline)
    return status
