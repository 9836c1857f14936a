"""The record of a schedule: what is stored of it, decoded.

It is one JSON object, which other programs read and write as well. Keys of ours begin with `py:`. Keys that nobody here
knows are kept as they are.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from taskora.contracts import ContractError, Schedule, UsageError, check_task_name, preview
from taskora.contracts.records import field, record, replace
from taskora.wire._job import dump_json, text_of

if TYPE_CHECKING:
    from uuid import UUID

# What others write, in their order; `every` or `cron` with `timezone`.
_THEIRS: Final = ("task", "overlap", "onMissed", "data", "every", "cron", "timezone", "lastJobId", "lastRun")
_VERSION: Final = "py:version"
_ATTEMPTS: Final = "py:maxAttempts"
_TTL: Final = "py:ttl"
_START: Final = "py:start"
_END: Final = "py:end"
_JITTER: Final = "py:jitter"
_DECLARED: Final = "py:declared"
_PAUSED: Final = "py:paused"
_DUE: Final = "py:due"
_REVISION: Final = "py:rev"
_OURS: Final = (_VERSION, _ATTEMPTS, _TTL, _START, _END, _JITTER, _DECLARED, _PAUSED, _DUE, _REVISION)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMESPACE: Final = "6c2f0f5e-3d0b-5c1a-9d8e-2f4b7a1e9c03"
_LATEST_MS: Final = 253_402_300_799_000  # the year 9999, where datetimes end


def occurrence_id(task: str, schedule: str, instant_ms: int) -> "UUID":
    """Names the run of a schedule that is due at an instant. Every scheduler must find the same name."""
    from uuid import UUID, uuid5

    return uuid5(UUID(_NAMESPACE), f"{task}\n{schedule}\n{instant_ms}")


class ScheduleRecordError(ValueError):
    """A stored record says nothing that can be carried out."""


@record
class ScheduleRecord:
    """Everything stored of a schedule. Times are epoch milliseconds.

    Attributes:
        version: Payload version of the jobs.
        max_attempts: Shown in the jobs.
        ttl_ms: Time to live of the jobs; 0 for none.
        declared: Whether code declares it, rather than an operator.
        paused: Whether somebody paused it with a program of ours. It ends when another program runs or redefines it.
        last_job_id: The latest job that a scheduler dispatched for it.
        last_run_ms: When that was.
        due_ms: When it is due according to the record itself; None when others have changed it since.
        revision: Grows with every change, so that no record is ever the same again.
        others: Keys that nobody here knows.
    """

    task: str
    schedule: Schedule
    version: int = 1
    max_attempts: int = 1
    ttl_ms: int = 0
    declared: bool = False
    paused: bool = False
    last_job_id: str | None = None
    last_run_ms: int | None = None
    due_ms: int | None = None
    revision: int = 0
    others: Mapping[str, object] = field(default_factory=dict[str, object])

    def is_defined_like(self, other: "ScheduleRecord") -> bool:
        """Whether both ask for the same; what has happened to them does not matter."""
        return _definition(self) == _definition(other)

    @property
    def planned_ms(self) -> int | None:
        """When it shall be due: never while it is paused."""
        return None if self.paused else self.due_ms

    def revised(self, now_ms: int) -> "ScheduleRecord":
        """The same record as the next one to be stored; also after another one of that name was deleted."""
        return replace(self, revision=max(self.revision + 1, now_ms))

    def ran(self, job_id: str, *, now_ms: int, due_ms: int | None) -> "ScheduleRecord":
        """The record after a run was dispatched, due again at `due_ms`."""
        return replace(self, last_job_id=job_id, last_run_ms=now_ms, due_ms=due_ms)


def _definition(record: ScheduleRecord) -> tuple[object, ...]:
    # As JSON: true is not 1 there.
    return record.task, record.schedule, dump_json(record.schedule.data), record.version, record.ttl_ms


def encode_schedule(record: ScheduleRecord) -> bytes:
    """Encodes a record."""
    schedule = record.schedule
    body: dict[str, object] = dict(record.others)
    body |= {"task": record.task, "overlap": schedule.overlap, "onMissed": schedule.on_missed}
    if schedule.data is not None:
        body["data"] = schedule.data
    if schedule.every_ms is not None:
        body["every"] = schedule.every_ms
    else:
        body |= {"cron": schedule.cron, "timezone": schedule.timezone or "UTC"}
    if record.last_job_id is not None:
        body["lastJobId"] = record.last_job_id
    if record.last_run_ms is not None:
        body["lastRun"] = record.last_run_ms
    return dump_json(body | _own_keys(record, body))


def _own_keys(record: ScheduleRecord, body: Mapping[str, object]) -> dict[str, object]:
    schedule = record.schedule
    values: dict[str, object] = {
        _VERSION: record.version,
        _ATTEMPTS: record.max_attempts,
        _TTL: record.ttl_ms,
        _START: None if schedule.start is None else _to_ms(schedule.start),
        _END: None if schedule.end is None else _to_ms(schedule.end),
        _JITTER: schedule.jitter_ms,
        _DECLARED: record.declared,
        _PAUSED: record.paused,
        _DUE: None if record.due_ms is None else {"at": record.due_ms, "if": _basis(body)},
        _REVISION: record.revision,
    }
    return {name: value for name, value in values.items() if value not in (None, 0, False)}


def _basis(body: Mapping[str, object]) -> list[object]:
    """What other programs change when they run or redefine a schedule; then our own due time counts no more."""
    return [body.get(name) for name in ("every", "cron", "timezone", "lastRun")]


def decode_schedule(raw: bytes) -> ScheduleRecord:
    """Decodes a record.

    Raises:
        ScheduleRecordError: it is damaged, or asks for what cannot be done.
    """
    try:
        body = _object(raw)
        task = check_task_name(body.get("task"), field="task")
        return ScheduleRecord(
            task=task,
            schedule=_schedule(body),
            version=_count(body, _VERSION, least=1, default=1),
            max_attempts=_count(body, _ATTEMPTS, least=1, default=1),
            ttl_ms=_count(body, _TTL, least=0, default=0),
            declared=body.get(_DECLARED) is True,
            paused=body.get(_PAUSED) is True and not _was_changed(body),
            last_job_id=_text(body.get("lastJobId")),
            last_run_ms=_milliseconds(body.get("lastRun")),
            due_ms=_own_due(body),
            revision=_milliseconds(body.get(_REVISION)) or 0,
            others={name: value for name, value in body.items() if name not in (*_THEIRS, *_OURS)},
        )
    except (ContractError, UsageError) as error:
        raise ScheduleRecordError(str(error)) from error


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body: object = json.loads(raw)
    except (ValueError, RecursionError):
        raise ScheduleRecordError(f"the record must be JSON, got {preview(text_of(raw))}") from None
    if not isinstance(body, dict):
        raise ScheduleRecordError(f"the record must be a JSON object, got {preview(body)}")
    return cast("dict[str, Any]", body)


def _schedule(body: Mapping[str, Any]) -> Schedule:
    every_ms, cron = body.get("every"), body.get("cron")
    jitter_ms = _count(body, _JITTER, least=0, default=0)
    return Schedule(
        every=None if every_ms is None else _interval(every_ms),
        cron=cron,
        timezone=None if cron is None else body.get("timezone"),
        data=body.get("data"),
        on_missed=body.get("onMissed", "skip"),
        overlap=body.get("overlap", False),
        start=_instant(body.get(_START)),
        end=_instant(body.get(_END)),
        jitter=timedelta(milliseconds=jitter_ms) if jitter_ms else None,
    )


def _interval(every_ms: object) -> timedelta:
    milliseconds = _milliseconds(every_ms)
    if milliseconds is None or milliseconds <= 0:
        raise ScheduleRecordError(f"every must be a positive number of milliseconds, got {preview(every_ms)}")
    return timedelta(milliseconds=milliseconds)


def _own_due(body: Mapping[str, Any]) -> int | None:
    due = body.get(_DUE)
    if not isinstance(due, dict) or _was_changed(body):
        return None
    return _milliseconds(cast("dict[str, object]", due).get("at"))


def _was_changed(body: Mapping[str, Any]) -> bool:
    """Whether another program has run or redefined it since ours planned it."""
    due = body.get(_DUE)
    return isinstance(due, dict) and cast("dict[str, object]", due).get("if") != _basis(body)


def _count(body: Mapping[str, Any], name: str, *, least: int, default: int) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _LATEST_MS:
        raise ScheduleRecordError(f"{name} must be an integer, {least} or more, got {preview(value)}")
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _milliseconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST_MS:
        return None
    return int(value)


def _instant(value: object) -> datetime | None:
    instant_ms = _milliseconds(value)
    return None if instant_ms is None else _EPOCH + timedelta(milliseconds=instant_ms)


def _to_ms(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)
