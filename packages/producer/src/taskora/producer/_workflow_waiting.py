"""Waiting for the end of a workflow."""

import random
from collections.abc import Generator
from typing import Any

from taskora.contracts import BackendError
from taskora.producer._results import RECHECK_MS, RETRY_PAUSE, Deadline, await_occasion
from taskora.wire import Flow, LastEvent, Pause, WorkflowStatus, ask, read_workflow_status, time_out


def is_running(status: WorkflowStatus | None) -> bool:
    """Whether there is something to wait for: the workflow exists, and has not ended."""
    return status is not None and status.state == "running"


def look_at_workflow(workflow_id: str) -> Flow[WorkflowStatus | None]:
    """Where a workflow stands; one whose time is over is ended first, in case nobody else does."""
    status = yield from read_workflow_status(workflow_id)
    if status is not None and status.state == "running" and status.is_overdue:
        yield from time_out(workflow_id)
        status = yield from read_workflow_status(workflow_id)
    return status


def wait_until_ended(workflow_id: str, told_in: str, deadline: Deadline) -> Flow[WorkflowStatus | None]:
    """Waits for the end of a workflow on a connection of the caller's own; None for one that is not there.

    Raises:
        JobTimeoutError: the deadline passed; its cause, if there is one, is why the storage could not be asked.
        BackendError: the storage cannot be reached. A wait that has begun outlasts that.
    """
    position = ""
    if deadline.left_ms() != 0:
        position = yield from ask(LastEvent(task=told_in))
    status = yield from look_at_workflow(workflow_id)
    trouble: BackendError | None = None
    while is_running(status):
        left_ms = deadline.left_ms()
        if left_ms == 0:
            raise deadline.error(told_in, workflow_id) from trouble
        block_ms = RECHECK_MS if left_ms is None else min(RECHECK_MS, left_ms)
        try:
            if trouble is not None:
                yield from _pause(block_ms)
            else:
                position, _ = yield from await_occasion(told_in, workflow_id, position, block_ms)
            trouble = None
            status = yield from look_at_workflow(workflow_id)
        except BackendError as error:
            trouble = error
    return status


def _pause(longest_ms: int) -> Generator[Any, Any, None]:
    yield Pause(min(RETRY_PAUSE, longest_ms / 1000) * random.uniform(0.5, 1.0))
