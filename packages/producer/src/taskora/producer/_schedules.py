"""Managing schedules, as work that takes several operations.

Record and due time lie in different keys. So the record is written first, compared with what was read, and the due
time after it; whoever dies in between leaves what the next one to come puts right.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeAlias, cast

from taskora.contracts import BackendError, ContractError, Schedule, TaskContract, UsageError, check_task_name
from taskora.producer._due import due_after, first_due, in_zone, runs_from
from taskora.producer._occurrences import from_epoch_ms, to_epoch_ms
from taskora.producer._payload import PayloadCodec
from taskora.wire import (
    Flow,
    ReadDue,
    ReadSchedules,
    ScheduleRecord,
    ScheduleRecordError,
    SetDue,
    WriteSchedule,
    ask,
    decode_schedule,
    encode_schedule,
)

logger = logging.getLogger("taskora.producer")

LARGEST_INPUT: Final = 1_048_576
_TRIES: Final = 20

Change: TypeAlias = Callable[["Stored"], ScheduleRecord | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleInfo:
    """A schedule as it stands.

    Attributes:
        name: What it is called.
        task: The task it runs; None when the record is damaged.
        schedule: When and how; None when the record is damaged.
        next_run: When it is due; None when it is paused, or over.
        last_run: When a scheduler dispatched its latest run.
        last_job_id: That run.
        paused: Whether it is not due although there would be a next run.
        declared: Whether code declares it, rather than an operator.
        problem: What keeps it from running, in words; None when nothing does.
        record: The record as it is stored.
    """

    name: str
    task: str | None
    schedule: Schedule | None
    next_run: datetime | None
    last_run: datetime | None
    last_job_id: str | None
    paused: bool
    declared: bool
    problem: str | None
    record: bytes

    def next_runs(self, count: int) -> list[datetime]:
        """The next instants at which it is due, at most `count`, in its zone; none when it is paused.

        Raises:
            UsageError: The count is no integer from 1 to 1000.
        """
        if self.schedule is None or self.next_run is None:
            return []
        return runs_from(self.schedule, to_epoch_ms(self.next_run), count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is stored under a name. `record` is None when there is none, or none that can be read."""

    name: str
    raw: bytes | None
    record: ScheduleRecord | None
    due_ms: int | None
    now_ms: int


def check_schedule_name(name: object) -> str:
    """Return the name of a schedule if it can be one; `UsageError` otherwise."""
    try:
        return check_task_name(name)
    except ContractError as error:
        raise UsageError(f"a schedule's {error}") from None


def schedule_record(
    contract: TaskContract[Any, Any], schedule: Schedule, *, validate: bool = True, declared: bool = False
) -> ScheduleRecord:
    """What is stored of a schedule of a task.

    Raises:
        UsageError: the task collects, its input is too large, or this is no schedule.
        ValidationError: the data do not fit the contract.
    """
    if not isinstance(cast("object", schedule), Schedule):
        raise UsageError.for_field("schedule", schedule, "a Schedule(...)")
    if contract.collect is not None:
        raise UsageError(f"task {contract.name!r} collects: schedule a task that dispatches to it")
    codec = PayloadCodec[Any](contract.name, "input", contract.input, None)
    checked = validate and contract.validates_input
    raw = codec.pack(schedule.data) if checked else codec.encode(schedule.data)
    if len(raw) > LARGEST_INPUT:
        raise UsageError(f"data of a schedule must be at most {LARGEST_INPUT} bytes when encoded, got {len(raw)}")
    return ScheduleRecord(
        task=contract.name,
        schedule=replace(schedule, data=json.loads(raw)),
        version=contract.version,
        max_attempts=1 if contract.retry is None else contract.retry.attempts,
        ttl_ms=0 if contract.ttl is None else contract.ttl.max_ms,
        declared=declared,
    )


def put_schedule(name: str, wanted: ScheduleRecord) -> Flow[ScheduleInfo]:
    """Creates a schedule, or makes it what is wanted. One that is so already keeps next run, history and pause."""
    stored = yield from _read(name)
    for _ in range(_TRIES):
        record, is_replanned = _merged(stored, wanted)
        if (yield from _write(stored, record)):
            if is_replanned:
                yield from ask(SetDue(name=name, expected="any", due_ms=record.due_ms))
            return info_of((yield from _read(name)))
        stored = yield from _read(name)
    raise _contended(name)


def _merged(stored: Stored, wanted: ScheduleRecord) -> tuple[ScheduleRecord, bool]:
    """What is to be stored, and whether that says anew when it is due."""
    known, first_ms = stored.record, first_due(wanted.schedule, stored.now_ms)
    if known is None:
        return replace(wanted, due_ms=first_ms), True
    merged = replace(
        wanted,
        last_job_id=known.last_job_id,
        last_run_ms=known.last_run_ms,
        paused=known.paused and stored.due_ms is None,
        others=known.others,
    )
    if not known.is_defined_like(wanted):
        logger.info("schedule_changed", extra={"schedule": stored.name})
    if merged.paused:
        return merged, False
    if _times(known.schedule) == _times(wanted.schedule):
        if stored.due_ms is not None:
            return replace(merged, due_ms=known.due_ms), False
        if first_ms is not None:
            # Who made it be due no more said nothing: another program's pause, which that does not keep over a start
            # either, or a scheduler that died or did not know the task.
            logger.warning("schedule_restored", extra={"schedule": stored.name})
    return replace(merged, due_ms=first_ms), True


def _times(schedule: Schedule) -> tuple[object, ...]:
    zone = None if schedule.cron is None else schedule.timezone or "UTC"
    return schedule.every_ms, schedule.cron, zone, schedule.start, schedule.end


def list_schedules() -> Flow[list[ScheduleInfo]]:
    """All schedules, by name."""
    records = yield from ask(ReadSchedules())
    times = yield from ask(ReadDue())
    return [info_of(_stored(name, records[name], times.due.get(name), times.now_ms)) for name in sorted(records)]


def find_schedule(name: str) -> Flow[ScheduleInfo | None]:
    """One schedule; None when there is none of that name."""
    stored = yield from _read(name)
    return None if stored.raw is None else info_of(stored)


def pause_schedule(name: str) -> Flow[bool]:
    """Makes a schedule be due no more; false when there is none of that name."""
    stored = yield from _read(name)
    for _ in range(_TRIES):
        if stored.raw is None:
            return False
        # A damaged record cannot say that it is paused; then it is only not due.
        if stored.record is None or (yield from _write(stored, replace(stored.record, paused=True))):
            yield from ask(SetDue(name=name, expected="any", due_ms=None))
            return True
        stored = yield from _read(name)
    raise _contended(name)


def resume_schedule(name: str) -> Flow[bool]:
    """Makes a paused schedule be due again, from now on; false when there is none of that name."""
    stored = yield from _read(name)
    for _ in range(_TRIES):
        if stored.raw is None:
            return False
        record = _readable(stored)
        was_due = stored.due_ms is not None
        due_ms = record.due_ms if was_due else first_due(record.schedule, stored.now_ms)
        if (yield from _write(stored, replace(record, paused=False, due_ms=due_ms))):
            if not was_due:
                yield from ask(SetDue(name=name, expected="any", due_ms=due_ms))
            return True
        stored = yield from _read(name)
    raise _contended(name)


def update_schedule(name: str, change: Callable[[Schedule], Schedule]) -> Flow[ScheduleInfo]:
    """Changes when or how a schedule runs.

    Raises:
        UsageError: there is no such schedule, its record is damaged, or the change breaks a rule.
    """
    stored = yield from _read(name)
    for _ in range(_TRIES):
        record = _readable(stored)
        schedule = change(record.schedule)
        is_replanned = _times(schedule) != _times(record.schedule)
        due_ms = first_due(schedule, stored.now_ms) if is_replanned else record.due_ms
        if (yield from _write(stored, replace(record, schedule=schedule, due_ms=due_ms))):
            if is_replanned and stored.due_ms is not None:
                yield from ask(SetDue(name=name, expected="any", due_ms=due_ms))
            return info_of((yield from _read(name)))
        stored = yield from _read(name)
    raise _contended(name)


def changed(schedule: Schedule, changes: Mapping[str, Any]) -> Schedule:
    """A schedule with some options changed; an interval replaces an expression with its zone, and the other way."""
    if changes.get("every") is not None:
        changes = {"cron": None, "timezone": None, **changes}
    elif changes.get("cron") is not None:
        changes = {"every": None, **changes}
    if "data" in changes:
        changes = {**changes, "data": _plain(changes["data"])}
    return replace(schedule, **changes)


def _plain(data: object) -> object:
    try:
        return json.loads(json.dumps(data, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"data of a schedule must be plain JSON values: {error}") from None


def remove_schedule(name: str) -> Flow[bool]:
    """Deletes a schedule; false when there is none of that name. Its jobs stay."""
    stored = yield from _read(name)
    for _ in range(_TRIES):
        if stored.raw is None:
            return False
        if (yield from ask(WriteSchedule(name=name, expected=stored.raw, record=None))):
            yield from ask(SetDue(name=name, expected="any", due_ms=None))
            return True
        stored = yield from _read(name)
    raise _contended(name)


def readable_schedule(name: str) -> Flow[ScheduleRecord]:
    """The record of a schedule.

    Raises:
        UsageError: there is no such schedule, or its record is damaged.
    """
    return _readable((yield from _read(name)))


def _readable(stored: Stored) -> ScheduleRecord:
    if stored.raw is None:
        raise UsageError(f"there is no schedule {stored.name!r}")
    try:
        return decode_schedule(stored.raw)
    except ScheduleRecordError as error:
        raise UsageError(
            f"schedule {stored.name!r} cannot be read ({error}): remove it, and declare it again"
        ) from None


def _read(name: str) -> Flow[Stored]:
    records = yield from ask(ReadSchedules(names=[check_schedule_name(name)]))
    times = yield from ask(ReadDue())
    return _stored(name, records.get(name), times.due.get(name), times.now_ms)


def _stored(name: str, raw: bytes | None, due_ms: int | None, now_ms: int) -> Stored:
    try:
        record = None if raw is None else decode_schedule(raw)
    except ScheduleRecordError:
        record = None
    return Stored(name=name, raw=raw, record=record, due_ms=due_ms, now_ms=now_ms)


def _write(stored: Stored, record: ScheduleRecord) -> Flow[bool]:
    return (yield from ask(WriteSchedule(name=stored.name, expected=stored.raw, record=encode_schedule(record))))


def info_of(stored: Stored) -> ScheduleInfo:
    """What is stored, for people."""
    record, problem = stored.record, None
    try:
        _readable(stored)
    except UsageError as error:
        problem = str(error)
    is_over = record is not None and due_after(record.schedule, stored.now_ms, due_ms=stored.now_ms) is None
    paused = stored.due_ms is None and not is_over
    if record is not None and paused and not record.paused:
        problem = "it is not due, and no program of ours paused it: resume it, or pause it here"
    return ScheduleInfo(
        name=stored.name,
        task=None if record is None else record.task,
        schedule=None if record is None else record.schedule,
        next_run=_instant(stored.due_ms, record),
        last_run=None if record is None else _instant(record.last_run_ms, record),
        last_job_id=None if record is None else record.last_job_id,
        paused=paused,
        declared=record is not None and record.declared,
        problem=problem,
        record=stored.raw or b"",
    )


def _instant(instant_ms: int | None, record: ScheduleRecord | None) -> datetime | None:
    if instant_ms is None:
        return None
    if record is None:
        return from_epoch_ms(instant_ms)
    return in_zone(record.schedule, instant_ms)


def _contended(name: str) -> BackendError:
    return BackendError(f"schedule {name!r} was changed by others {_TRIES} times in a row: try again")
