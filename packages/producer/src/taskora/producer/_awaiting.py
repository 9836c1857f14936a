"""Waiting for the end of something: of a job, or of a workflow."""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Final, TypeVar

from taskora.contracts import BackendError, Duration, JobTimeoutError, UsageError, to_milliseconds
from taskora.contracts.records import record
from taskora.wire import Flow, LastEvent, Pause, StreamEvent, ask, pause_after

S = TypeVar("S")

FINAL_EVENTS: Final = frozenset({"completed", "failed", "cancelled", "expired"})
# Those after which a wait looks: the end of a job, or of a workflow.
LOOK_EVENTS: Final = FINAL_EVENTS | {"workflow"}
# Events are hints that may be missed: a waiter looks at what it waits for at least this often.
RECHECK_MS: Final = 2000
# Once its time is over, a wait looks one last time, and no longer than this.
LAST_LOOK_S: Final = 1.0
_FIRST_PAUSE: Final = 0.1


@record(kw_only=False)
class AwaitEvents:
    """Asks the driver of a flow to wait for events after the given positions, by task; the reply is a list of them."""

    positions: Mapping[str, str]
    block_ms: int


@record(frozen=False, kw_only=False)
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


@record(kw_only=False)
class Awaited:
    """What somebody waits for, and where its end is told.

    Attributes:
        told_in: The task in whose events the end is told.
        id: Id of the job, or of the workflow.
        workflow: What the workflow is called; None for a job.
    """

    told_in: str
    id: str
    workflow: str | None = None

    def too_late(self, deadline: Deadline) -> JobTimeoutError:
        """What a wait raises that lasted until the deadline."""
        timeout_ms = deadline.timeout_ms or 0
        if self.workflow is None:
            return JobTimeoutError(job_id=self.id, task=self.told_in, timeout_ms=timeout_ms, during="wait")
        return JobTimeoutError(
            job_id=self.id, task=self.workflow, timeout_ms=timeout_ms, during="wait", workflow_id=self.id
        )


def wait_until_ended(
    awaited: Awaited, look: Callable[[], Flow[S]], is_over: Callable[[S], bool], deadline: Deadline
) -> Flow[tuple[S, str | None]]:
    """Looks until it is over, on a connection of the caller's own: at first, at every event about it, and now and then.

    The reply is what was seen last, and the name of the event before, if there was one.

    Raises:
        JobTimeoutError: the deadline passed; its cause, if there is one, is why the storage could not be asked.
        BackendError: the storage cannot be reached. A wait that has begun outlasts that.
    """
    position = ""
    if deadline.left_ms() != 0:
        # Before the first look, so that nothing that happens in between is missed.
        position = yield from ask(LastEvent(task=awaited.told_in))
    seen = yield from look()
    trouble: BackendError | None = None
    failures = 0
    event = None
    while not is_over(seen):
        left_ms = deadline.left_ms()
        if left_ms == 0:
            raise awaited.too_late(deadline) from trouble
        block_ms = RECHECK_MS if left_ms is None else min(RECHECK_MS, left_ms)
        try:
            if trouble is not None:
                yield Pause(pause_after(failures, first=_FIRST_PAUSE, longest=block_ms / 1000))
            else:
                position, event = yield from _await_occasion(awaited, position, block_ms)
            trouble = None
            seen = yield from look()
            failures = 0
        except BackendError as error:
            trouble = error
            failures += 1
    return seen, event


def _await_occasion(awaited: Awaited, position: str, block_ms: int) -> Flow[tuple[str, str | None]]:
    """Waits until an event says that it ended, or for `block_ms`; replies where to go on, and the name of the event."""
    end = monotonic() + block_ms / 1000
    while True:
        left_ms = int((end - monotonic()) * 1000)
        if left_ms <= 0:
            return position, None
        events: Sequence[StreamEvent] = yield AwaitEvents({awaited.told_in: position}, left_ms)
        position = events[-1].position if events else position
        for event in events:
            if event.job_id == awaited.id and event.name in LOOK_EVENTS:
                return position, event.name


def closed_error() -> UsageError:
    """What a closed producer answers."""
    return UsageError("this producer is closed: make another one, or close it later")
