"""What a storage may be able to do besides: who asks gets it done in any case."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol, TypeVar, cast

from taskora.wire._backend import Backend, SyncBackend
from taskora.wire._operations import Operation

R = TypeVar("R")


class PipelinedBackend(Protocol):
    """What a storage for threads may be besides: one that has a round trip to save."""

    def run_together(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Carries out operations that do not depend on one another, in any order; gives their replies in their order.

        Raises:
            BackendError: one of them failed; any of the others may have been carried out.
        """
        ...


def run_together(backend: SyncBackend, operations: Sequence[Operation[R]]) -> list[R]:
    """Carries out several operations: together by a `PipelinedBackend`, one after the other by any other."""
    if not hasattr(backend, "run_together"):
        return [backend.run(operation) for operation in operations]
    return cast("PipelinedBackend", backend).run_together(operations)


class WaitObserver(Protocol):
    """What a backend may be besides: one that wants to know who waits for which jobs, such as one in virtual time."""

    def waiting_for(self, task: str, job_id: str) -> AbstractAsyncContextManager[None]:
        """Entered before somebody waits for the end of a job, or of a workflow that is told in a task's events.

        Left when the wait is over.
        """
        ...


def waiting_for(backend: Backend, task: str, job_id: str) -> AbstractAsyncContextManager[None]:
    """Tells a backend of a wait, if it is a `WaitObserver`."""
    if not hasattr(backend, "waiting_for"):
        return nullcontext()
    return cast("WaitObserver", backend).waiting_for(task, job_id)
