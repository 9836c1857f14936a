"""What a runner tells about the jobs it ran."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from taskora.contracts import JobState
from taskora.producer import (
    AnyJobEvent,
    AsyncJobHandle,
    CancelledEvent,
    CompletedEvent,
    ExpiredEvent,
    FailedEvent,
)
from taskora.testing._clock import instant
from taskora.wire import LogEntry

O = TypeVar("O")  # noqa: E741 - output

ParkReason: TypeAlias = Literal["unserved", "newer", "saturated", "paced", "busy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened to a job, and when, by the clock of the runner."""

    at: datetime
    event: AnyJobEvent[Any]

    @property
    def kind(self) -> str:
        """What happened: `"waiting"`, `"active"`, `"completed"`, ..."""
        return self.event.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An attempt that ended, or a job that ended without one.

    `state` is `completed`, `retrying`, `failed`, `cancelled` or `expired`; `attempt` counts from 1, and is 0 for a job
    that never began. `result` is there for completed ones, `error` for failed ones and for those that will be retried.
    """

    task: str
    job_id: str
    state: JobState
    attempt: int
    at: datetime
    result: object = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedJob:
    """A job that is ready, and that nobody can run now.

    `reason` is `unserved` if nobody implements its task, `newer` if its payload is too new for who does, `saturated` if
    its concurrency key has no free slot, `paced` if a rate limit holds it back, and `busy` if handlers that wait for
    other jobs, or other workers, have all slots.
    """

    task: str
    job_id: str
    reason: ParkReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessReport:
    """What a runner did, and what it left.

    Attributes:
        processed: What ended, in order.
        parked: Jobs that are ready, and that nobody can run now.
        next_due: When something happens next if the time moves; None if nothing is due.
    """

    processed: tuple[Step, ...]
    parked: tuple[ParkedJob, ...]
    next_due: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution(Generic[O]):
    """A job that was run to its end, or as far as it got.

    Attributes:
        state: Where it stands; usually an end.
        result: What the handler returned, decoded; None unless the job completed.
        attempts: How many attempts began.
        logs: What the handler logged, oldest first.
        progress: What it reported last, as a plain value.
        error: The stored text of the last failure.
        handle: Follows the job.
        timeline: What happened to it, and when.
    """

    state: JobState
    result: O | None
    attempts: int
    logs: tuple[LogEntry, ...]
    progress: object
    error: str | None
    handle: AsyncJobHandle[O]
    timeline: tuple[Moment, ...]


_STATES: Final[Mapping[type, JobState]] = {
    CompletedEvent: JobState.COMPLETED,
    FailedEvent: JobState.FAILED,
    CancelledEvent: JobState.CANCELLED,
    ExpiredEvent: JobState.EXPIRED,
}


def step_of(event: AnyJobEvent[Any], attempt: int) -> Step | None:
    """The step that an event ends; None for other events. `attempt` is the one that began last."""
    state = _STATES.get(type(event))
    if state is None:
        return None
    result: object = None
    error: str | None = None
    if isinstance(event, CompletedEvent):
        result = event.result
    elif isinstance(event, FailedEvent):
        error = event.error
        state = JobState.RETRYING if event.will_retry else state
    at = instant(event.timestamp_ms)
    return Step(task=event.task, job_id=event.job_id, state=state, attempt=attempt, at=at, result=result, error=error)
