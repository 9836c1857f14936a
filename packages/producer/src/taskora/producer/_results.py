"""What a finished job means to whoever waits for it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, Generic, TypeVar

from taskora.contracts import (
    BackendError,
    Duration,
    ExpiredError,
    JobCancelledError,
    JobFailedError,
    JobState,
    JobTimeoutError,
    UnknownJobError,
    ValidationError,
    to_milliseconds,
)
from taskora.producer._payload import PayloadCodec
from taskora.wire import Flow, JobStatus, LastEvent, Pause, ReadStatuses, StreamEvent, ask

O = TypeVar("O")  # noqa: E741 - output

FINAL_EVENTS: Final = frozenset({"completed", "failed", "cancelled", "expired"})
# Those after which a wait looks: the end of a job, or of a workflow.
LOOK_EVENTS: Final = FINAL_EVENTS | {"workflow"}
# Events are hints that may be missed: a waiter looks at the job itself at least this often.
RECHECK_MS: Final = 2000
# Once its time is over, a wait looks at its job one last time, and no longer than this.
LAST_LOOK_S: Final = 1.0
RETRY_PAUSE: Final = 0.5


@dataclass(frozen=True, slots=True)
class AwaitEvents:
    """Asks the driver of a flow to wait for events after the given positions, by task; the reply is a list of them."""

    positions: Mapping[str, str]
    block_ms: int


@dataclass(slots=True)
class Deadline:
    """When to stop waiting; None for never."""

    timeout_ms: int | None
    _end: float | None = None

    def __post_init__(self) -> None:
        self._end = None if self.timeout_ms is None else monotonic() + self.timeout_ms / 1000

    @classmethod
    def after(cls, timeout: Duration | None) -> "Deadline":
        """The deadline of a call that takes a `timeout`."""
        return cls(None if timeout is None else to_milliseconds(timeout, field="timeout", allow_zero=True))

    def left_ms(self) -> int | None:
        """Milliseconds left, 0 when it has passed, None when there is no end."""
        return None if self._end is None else max(0, int((self._end - monotonic()) * 1000))

    def error(self, task: str, job_id: str) -> JobTimeoutError:
        """What a wait raises that lasted until the deadline."""
        return JobTimeoutError(job_id=job_id, task=task, timeout_ms=self.timeout_ms or 0, during="wait")


@dataclass(frozen=True, slots=True)
class ResultReader(Generic[O]):
    """Turns the end of a job into its result, or into the error that says why there is none."""

    task: str
    codec: PayloadCodec[O]

    def read(self, job_id: str, status: JobStatus | None) -> O:
        """The result.

        Raises:
            JobFailedError, JobCancelledError, ExpiredError: how else the job ended.
            UnknownJobError: there is no such job, or no longer.
            ValidationError: the result does not fit the contract.
        """
        task = self.task
        if status is None:
            raise UnknownJobError(job_id=job_id, task=task)
        match status.state:
            case JobState.COMPLETED:
                return self._decode(job_id, status.result or b"")
            case JobState.CANCELLED:
                raise JobCancelledError(job_id=job_id, task=task, reason=status.cancel_reason or None)
            case JobState.EXPIRED:
                raise ExpiredError(job_id=job_id, task=task)
            case _:
                raise JobFailedError(job_id=job_id, task=task, error=status.error or "", attempts=status.attempt)

    def _decode(self, job_id: str, result: bytes) -> O:
        try:
            return self.codec.decode(result)
        except ValidationError as error:
            raise error.for_job(job_id) from error.__cause__


def expired_status() -> JobStatus:
    """The status of a job that an event says expired, and that whoever expired it left nothing of."""
    return JobStatus(
        state=JobState.EXPIRED, attempt=0, processed_on_ms=None, finished_on_ms=None,
        result=None, error=None, cancel_reason=None, progress=None,
    )  # fmt: skip


def is_settled(status: JobStatus | None) -> bool:
    """Whether there is nothing more to wait for: the job ended, or does not exist."""
    return status is None or status.state.is_terminal


def wait_until_settled(task: str, job_id: str, deadline: Deadline) -> Flow[JobStatus | None]:
    """Waits for the end of one job on a connection of the caller's own. The reply is None for a job that is not there.

    Raises:
        JobTimeoutError: the deadline passed; its cause, if there is one, is why the storage could not be asked.
        BackendError: the storage cannot be reached. A wait that has begun outlasts that.
    """
    position = ""
    if deadline.left_ms() != 0:
        # Before the job is looked at, so that nothing that happens in between is missed.
        position = yield from ask(LastEvent(task=task))
    status = yield from _look(task, job_id)
    trouble: BackendError | None = None
    ending = None
    while not is_settled(status):
        left_ms = deadline.left_ms()
        if left_ms == 0:
            raise deadline.error(task, job_id) from trouble
        block_ms = RECHECK_MS if left_ms is None else min(RECHECK_MS, left_ms)
        try:
            if trouble is not None:
                yield Pause(min(RETRY_PAUSE, block_ms / 1000) * random.uniform(0.5, 1.0))
            else:
                position, ending = yield from await_occasion(task, job_id, position, block_ms)
            trouble = None
            status = yield from _look(task, job_id)
        except BackendError as error:
            trouble = error
    return expired_status() if status is None and ending == "expired" else status


def _look(task: str, job_id: str) -> Flow[JobStatus | None]:
    (status,) = yield from ask(ReadStatuses(task=task, job_ids=(job_id,)))
    return status


def await_occasion(task: str, job_id: str, position: str, block_ms: int) -> Flow[tuple[str, str | None]]:
    """Waits until an event says that the job ended, or for `block_ms`; replies where to go on, and how it ended."""
    end = monotonic() + block_ms / 1000
    while True:
        left_ms = int((end - monotonic()) * 1000)
        if left_ms <= 0:
            return position, None
        events: Sequence[StreamEvent] = yield AwaitEvents({task: position}, left_ms)
        position = events[-1].position if events else position
        for event in events:
            if event.job_id == job_id and event.name in LOOK_EVENTS:
                return position, event.name
