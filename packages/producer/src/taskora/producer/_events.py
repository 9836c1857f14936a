"""Events of jobs, as typed objects.

Events are hints. They are kept for a limited time and number; what a job's handle says is the truth.
"""

import json
from typing import Any, ClassVar, Final, Generic, Literal, TypeAlias, TypeVar

from taskora.contracts.records import record
from taskora.producer._payload import PayloadCodec
from taskora.wire import JobStatus, StreamEvent

O = TypeVar("O")  # noqa: E741 - output


@record
class JobEvent:
    """Something happened to a job. `timestamp_ms` is when, in epoch milliseconds of the server's clock."""

    kind: ClassVar[str]
    task: str
    job_id: str
    timestamp_ms: int


@record
class WaitingEvent(JobEvent):
    """The job is ready to run."""

    kind: ClassVar[str] = "waiting"


@record
class DelayedEvent(JobEvent):
    """The job was dispatched to run later."""

    kind: ClassVar[str] = "delayed"


@record
class PromotedEvent(JobEvent):
    """A delayed or retrying job is due and ready."""

    kind: ClassVar[str] = "promoted"


@record
class ActiveEvent(JobEvent):
    """An attempt begins; attempts count from 1."""

    kind: ClassVar[str] = "active"
    attempt: int


@record
class ProgressEvent(JobEvent):
    """The handler reported progress; `value` is a plain JSON value."""

    kind: ClassVar[str] = "progress"
    value: object


@record
class CompletedEvent(JobEvent, Generic[O]):
    """The job has its result. `duration_ms` is that of the last attempt.

    `result` is None also when the job was removed, or does not fit the contract any more, before the event was read.
    """

    kind: ClassVar[str] = "completed"
    attempt: int
    result: O | None
    duration_ms: int | None


@record
class FailedEvent(JobEvent):
    """An attempt failed; `attempt` is its number. With `will_retry` another one follows, without it the job is over."""

    kind: ClassVar[str] = "failed"
    attempt: int
    error: str
    will_retry: bool


@record
class RetryingEvent(JobEvent):
    """Another attempt will be made: `attempt` is its number, and `next_attempt_ms` the instant it is due."""

    kind: ClassVar[str] = "retrying"
    attempt: int
    error: str
    next_attempt_ms: int


@record
class StalledEvent(JobEvent):
    """The worker that ran the job is gone. `count` is how often that happened to this job."""

    kind: ClassVar[str] = "stalled"
    count: int
    action: Literal["recovered", "failed"]


@record
class CancelledEvent(JobEvent):
    """The job was cancelled; `reason` is None if nobody said why."""

    kind: ClassVar[str] = "cancelled"
    reason: str | None


@record
class ExpiredEvent(JobEvent):
    """The job did not start within its time to live."""

    kind: ClassVar[str] = "expired"


@record
class DebouncedEvent(JobEvent):
    """Another dispatch of its debounce key took the place of the job, which is gone; `replaced_by` is the new one."""

    kind: ClassVar[str] = "debounced"
    replaced_by: str


@record
class CollectEvent(JobEvent):
    """An item joined the batch of `key`, which holds `count` now. The job is the one that will run the batch.

    The item that fills a batch makes a `WaitingEvent` instead.
    """

    kind: ClassVar[str] = "collect"
    count: int
    key: str


AnyJobEvent: TypeAlias = (
    WaitingEvent
    | DelayedEvent
    | PromotedEvent
    | ActiveEvent
    | ProgressEvent
    | CompletedEvent[O]
    | FailedEvent
    | RetryingEvent
    | StalledEvent
    | CancelledEvent
    | ExpiredEvent
    | DebouncedEvent
    | CollectEvent
)

# What the stream entry itself should say. Programs that follow only the original layout leave it out, and then the
# job's record has to tell; a result is always read from there.
_TOLD: Final = {
    "active": {"attempt"},
    "completed": {"attempt", "result"},
    "failed": {"attempt", "error"},
    "retrying": {"attempt", "error"},
}
_PLAIN: Final = {cls.kind: cls for cls in (WaitingEvent, DelayedEvent, PromotedEvent, ExpiredEvent)}


def needs_status(event: StreamEvent) -> bool:
    """Whether the record of the job has to be read to make the event whole."""
    return not _TOLD.get(event.name, set()) <= event.fields.keys()


def job_events(event: StreamEvent, status: JobStatus | None, codec: PayloadCodec[O]) -> list[AnyJobEvent[O]]:
    """The typed events that a stream entry stands for: none if it is of a kind that is not known here.

    A retry is two events: the attempt that failed, and the one that will follow.
    """
    about: dict[str, Any] = {"task": event.task, "job_id": event.job_id, "timestamp_ms": timestamp_of(event.position)}
    plain = _PLAIN.get(event.name)
    if plain is not None:
        return [plain(**about)]
    fields = event.fields
    match event.name:
        case "active":
            return [ActiveEvent(**about, attempt=_attempt(event, status))]
        case "progress":
            return [ProgressEvent(**about, value=_plain_value(fields.get("value", "null")))]
        case "completed":
            return [_completed(about, event, status, codec)]
        case "failed":
            error = _error(event, status)
            return [FailedEvent(**about, attempt=_attempt(event, status), error=error, will_retry=False)]
        case "retrying":
            return _retrying(about, event, status)
        case "stalled":
            action: Literal["recovered", "failed"] = "failed" if fields.get("action") == "failed" else "recovered"
            return [StalledEvent(**about, count=_integer(fields.get("count")), action=action)]
        case "cancelled":
            return [CancelledEvent(**about, reason=fields.get("reason") or None)]
        case "debounced":
            return [DebouncedEvent(**about, replaced_by=fields.get("replacedBy", ""))]
        case "collect":
            return [CollectEvent(**about, count=_integer(fields.get("count")), key=fields.get("key", ""))]
        case _:
            return []


def timestamp_of(position: str) -> int:
    """Epoch milliseconds of a stream position."""
    return _integer(position.partition("-")[0])


def _completed(
    about: dict[str, Any], event: StreamEvent, status: JobStatus | None, codec: PayloadCodec[O]
) -> CompletedEvent[O]:
    result: O | None = None
    duration_ms: int | None = None
    if status is not None:
        try:
            result = codec.decode(status.result or b"")
        except Exception:  # noqa: BLE001 - a validator of the user's may raise anything, and the stream goes on
            result = None
        if status.finished_on_ms is not None and status.processed_on_ms is not None:
            duration_ms = max(0, status.finished_on_ms - status.processed_on_ms)
    return CompletedEvent(**about, attempt=_attempt(event, status), result=result, duration_ms=duration_ms)


def _retrying(about: dict[str, Any], event: StreamEvent, status: JobStatus | None) -> list[AnyJobEvent[Any]]:
    attempt, error = _attempt(event, status), _error(event, status)
    next_attempt_ms = _integer(event.fields.get("nextAttemptAt"))
    return [
        FailedEvent(**about, attempt=max(attempt - 1, 1), error=error, will_retry=True),
        RetryingEvent(**about, attempt=attempt, error=error, next_attempt_ms=next_attempt_ms),
    ]


def _attempt(event: StreamEvent, status: JobStatus | None) -> int:
    written = event.fields.get("attempt")
    return _integer(written) if written else (status.attempt if status else 0)


def _error(event: StreamEvent, status: JobStatus | None) -> str:
    written = event.fields.get("error")
    return written if written is not None else ((status.error if status else None) or "")


def _integer(text: str | None) -> int:
    """A number that another program may have written; 0 for what is none, or has too many digits for Python."""
    try:
        return int(text or 0)
    except ValueError:
        return 0


def _plain_value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
