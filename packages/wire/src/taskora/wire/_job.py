"""The job record: what is stored of a job, decoded.

Decoding tolerates what other programs, or damage, may have left: a field that is missing or unreadable becomes its
neutral value instead of hiding the whole job.
"""

import json
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, Literal, TypeAlias, cast

from taskora.contracts import JobState, preview
from taskora.contracts.records import record

LogLevel: TypeAlias = Literal["info", "warn", "error"]


class ParkedReason(StrEnum):
    """Why a job that could run does not.

    `SATURATED`: its concurrency key has no free slot. `NEWER`: its payload is too new for the workers that saw it.
    `UNSERVED`: it is ready or due, and nobody implements its task.
    """

    SATURATED = "saturated"
    NEWER = "newer"
    UNSERVED = "unserved"


STATUS_FIELDS: Final = (
    "state",
    "attempt",
    "processedOn",
    "finishedOn",
    "result",
    "error",
    "cancelReason",
    "progress",
    "py:try",
    "py:settledBy",
)


@record
class LogEntry:
    """One line a handler logged. `meta` holds plain JSON values."""

    level: LogLevel
    message: str
    timestamp_ms: int
    meta: Mapping[str, object] | None = None


@record
class JobStatus:
    """Where a job stands. `result` and `progress` are encoded; times are epoch milliseconds.

    `workflow_try` is the try of its workflow in which a step was revived from the dead letters; 0 for any other.
    `settled_by` is the token of the claim whose result a step of a workflow has; empty where that is not known.
    """

    state: JobState
    attempt: int
    processed_on_ms: int | None
    finished_on_ms: int | None
    result: bytes | None
    error: str | None
    cancel_reason: str | None
    progress: bytes | None
    workflow_try: int = 0
    settled_by: str = ""


@record
class JobRecord:
    """Everything stored of a job. `data`, `result` and `progress` are encoded; times are epoch milliseconds."""

    job_id: str
    status: JobStatus
    data: bytes
    version: int
    max_attempts: int
    priority: int
    timestamp_ms: int
    delay_ms: int | None
    expire_at_ms: int | None
    stalled_count: int
    fields: Mapping[str, bytes]
    logs: tuple[LogEntry, ...] = ()
    parked_reason: ParkedReason | None = None


@record(guarded=False)
class StepLink:
    """Where a job belongs: to which workflow, and as which of its steps."""

    workflow_id: str
    step: int


def text_of(value: bytes | None) -> str | None:
    """Text of a stored field; bytes that are not UTF-8 are shown, not refused."""
    return None if value is None else value.decode("utf-8", "backslashreplace")


def integer_of(value: bytes | None) -> int | None:
    """Integer of a stored field, or None when there is none to read."""
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        return None


def link_of(workflow_id: bytes | None, step: bytes | None) -> StepLink | None:
    """Decodes where a job belongs; None for one that is no step."""
    number = integer_of(step)
    if not workflow_id or number is None:
        return None
    return StepLink(workflow_id=text_of(workflow_id) or "", step=number)


def state_of(value: bytes | None) -> JobState | None:
    """State of a stored field; None when the field is absent or names no state."""
    try:
        return JobState(text_of(value) or "")
    except ValueError:
        return None


def decode_status(values: Sequence[bytes | None]) -> JobStatus | None:
    """Decodes the values of `STATUS_FIELDS`, in that order; None when the job does not exist."""
    state = state_of(values[0])
    if state is None:
        return None
    return JobStatus(
        state=state,
        attempt=integer_of(values[1]) or 0,
        processed_on_ms=integer_of(values[2]),
        finished_on_ms=integer_of(values[3]),
        result=values[4],
        error=text_of(values[5]),
        cancel_reason=text_of(values[6]),
        progress=values[7],
        workflow_try=integer_of(values[8]) or 0,
        settled_by=text_of(values[9]) or "",
    )


def decode_record(
    job_id: str, fields: Mapping[str, bytes], logs: Sequence[bytes] = (), reason: str = ""
) -> JobRecord | None:
    """Decodes a job hash; None when it holds no state, which is not a job that can be shown."""
    status = decode_status([fields.get(name) for name in STATUS_FIELDS])
    if status is None:
        return None
    return JobRecord(
        job_id=job_id,
        status=status,
        data=fields.get("data", b""),
        version=integer_of(fields.get("_v")) or 0,
        max_attempts=integer_of(fields.get("maxAttempts")) or 1,
        priority=integer_of(fields.get("priority")) or 0,
        timestamp_ms=integer_of(fields.get("ts")) or 0,
        delay_ms=integer_of(fields.get("delay")),
        expire_at_ms=integer_of(fields.get("expireAt")),
        stalled_count=integer_of(fields.get("stalledCount")) or 0,
        fields=fields,
        logs=tuple(decode_log(entry) for entry in logs),
        parked_reason=ParkedReason(reason) if reason else None,
    )


def encode_log(entry: LogEntry) -> bytes:
    """Encodes a log entry; always valid JSON, because one bad entry would break other readers' listings.

    Meta values that JSON has no form for are written as their `repr`.
    """
    body: dict[str, object] = {"level": entry.level, "message": entry.message}
    if entry.meta:
        body["meta"] = dict(entry.meta)
    body["timestamp"] = entry.timestamp_ms
    return dump_json(body)


def dump_json(value: object) -> bytes:
    """Compact JSON in UTF-8 that every reader of the keyspace can parse: no NaN, no infinities."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=repr)
        return text.encode()
    except (ValueError, UnicodeEncodeError, TypeError):
        plain = json.loads(json.dumps(value, default=repr, skipkeys=True), parse_constant=lambda _: None)
        return json.dumps(plain, separators=(",", ":")).encode()


def decode_log(raw: bytes) -> LogEntry:
    """Decodes a log entry; one that is not valid JSON is kept as the text of an `info` entry."""
    try:
        body: object = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return LogEntry(level="info", message=text_of(raw) or "", timestamp_ms=0)
    entry = cast("dict[str, object]", body)
    level, message, meta = entry.get("level"), entry.get("message", ""), entry.get("meta")
    return LogEntry(
        level=level if level in ("info", "warn", "error") else "info",
        message=message if isinstance(message, str) else preview(message),
        timestamp_ms=_milliseconds(entry.get("timestamp")),
        meta=cast("dict[str, object]", meta) if isinstance(meta, dict) else None,
    )


def _milliseconds(value: object) -> int:
    if isinstance(value, bool):
        return 0
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else 0
    return value if isinstance(value, int) else 0
