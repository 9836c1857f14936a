"""Managing schedules, as work that takes several operations."""

import json
import logging
from collections.abc import Callable
from typing import Any, Final, cast

from taskora.contracts import ContractError, Schedule, TaskContract, UsageError, check_task_name
from taskora.contracts.records import replace
from taskora.producer._due import first_due
from taskora.producer._payload import PayloadCodec
from taskora.producer._schedule_edits import Edit, edit_schedule, edit_to, read_stored
from taskora.producer._schedule_info import ScheduleInfo, Stored, info_of, readable, stored_schedule
from taskora.wire import Flow, ReadDue, ScanSchedules, ScheduleRecord, ask

logger = logging.getLogger("taskora.producer")

LARGEST_INPUT: Final = 1_048_576


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
    news: list[str] = []

    def decide(stored: Stored) -> Edit | None:
        known, record = stored.record, _merged(stored, wanted)
        if known is None:
            return edit_to(stored, record)
        is_like = known.is_defined_like(wanted)
        news[:] = [] if is_like else ["schedule_changed"]
        if is_like and stored.due_ms is None and record.planned_ms is not None:
            # Who made it be due no more said nothing: another program's pause, which that does not keep over a start
            # either, or a scheduler that died or did not know the task.
            news[:] = ["schedule_restored"]
        elif is_like and record == known:
            return None
        return edit_to(stored, record)

    stored = yield from edit_schedule(name, decide)
    for event in news:
        logger.log(logging.INFO if event == "schedule_changed" else logging.WARNING, event, extra={"schedule": name})
    return info_of(stored)


def _merged(stored: Stored, wanted: ScheduleRecord) -> ScheduleRecord:
    """What is to be stored. When it is due is said anew if its times change, or if nobody knows."""
    known = stored.record
    if known is None:
        return replace(wanted, due_ms=first_due(wanted.schedule, stored.now_ms))
    merged = replace(
        wanted,
        last_job_id=known.last_job_id,
        last_run_ms=known.last_run_ms,
        paused=known.paused,
        due_ms=known.due_ms,
        revision=known.revision,
        others=known.others,
    )
    is_lost = stored.due_ms is None and not known.paused
    if is_lost or _times(known.schedule) != _times(wanted.schedule):
        return replace(merged, due_ms=first_due(wanted.schedule, stored.now_ms))
    return merged


def _times(schedule: Schedule) -> tuple[object, ...]:
    zone = None if schedule.cron is None else schedule.timezone or "UTC"
    return schedule.every_ms, schedule.cron, zone, schedule.start, schedule.end


def list_schedules() -> Flow[list[ScheduleInfo]]:
    """All schedules, by name; read in pages, so one that changes meanwhile is as it was at one of its moments."""
    found: dict[str, ScheduleInfo] = {}
    cursor = ""
    while cursor != "0":
        page = yield from ask(ScanSchedules(cursor=cursor or "0"))
        times = yield from ask(ReadDue(names=[*page.records]))
        for name, raw in page.records.items():
            found[name] = info_of(stored_schedule(name, raw, times.due.get(name), times.now_ms))
        cursor = page.cursor
    return [found[name] for name in sorted(found)]


def find_schedule(name: str) -> Flow[ScheduleInfo | None]:
    """One schedule; None when there is none of that name."""
    stored = yield from read_stored(check_schedule_name(name))
    return None if stored.raw is None else info_of(stored)


def pause_schedule(name: str) -> Flow[bool]:
    """Makes a schedule be due no more; false when there is none of that name."""

    def decide(stored: Stored) -> Edit | None:
        if stored.raw is None or (stored.due_ms is None and (stored.record is None or stored.record.paused)):
            return None
        if stored.record is None:  # a damaged record cannot say that it is paused; then it is only not due
            return Edit(raw=stored.raw, due_ms=None)
        return edit_to(stored, replace(stored.record, paused=True))

    stored = yield from edit_schedule(check_schedule_name(name), decide)
    return stored.raw is not None


def resume_schedule(name: str) -> Flow[bool]:
    """Makes a paused schedule be due again, from now on; false when there is none of that name."""

    def decide(stored: Stored) -> Edit | None:
        if stored.raw is None:
            return None
        record = readable(stored)
        if stored.due_ms is not None and not record.paused:
            return None
        return edit_to(stored, replace(record, paused=False, due_ms=first_due(record.schedule, stored.now_ms)))

    stored = yield from edit_schedule(check_schedule_name(name), decide)
    return stored.raw is not None


def update_schedule(name: str, change: Callable[[Schedule], Schedule]) -> Flow[ScheduleInfo]:
    """Changes when or how a schedule runs.

    Raises:
        UsageError: there is no such schedule, its record is damaged, or the change breaks a rule.
    """

    def decide(stored: Stored) -> Edit | None:
        record = readable(stored)
        schedule = change(record.schedule)
        is_replanned = _times(schedule) != _times(record.schedule)
        due_ms = first_due(schedule, stored.now_ms) if is_replanned else record.due_ms
        edit = edit_to(stored, replace(record, schedule=schedule, due_ms=due_ms))
        is_stopped = stored.due_ms is None and not stored.is_over
        return replace(edit, due_ms=None) if is_stopped else edit

    return info_of((yield from edit_schedule(check_schedule_name(name), decide)))


def remove_schedule(name: str) -> Flow[bool]:
    """Deletes a schedule; false when there is none of that name. Its jobs stay."""
    was_there = False

    def decide(stored: Stored) -> Edit | None:
        nonlocal was_there
        was_there = stored.raw is not None
        return Edit(raw=None, due_ms=None) if was_there else None

    yield from edit_schedule(check_schedule_name(name), decide)
    return was_there


def readable_schedule(name: str) -> Flow[ScheduleRecord]:
    """The record of a schedule.

    Raises:
        UsageError: there is no such schedule, or its record is damaged.
    """
    return readable((yield from read_stored(check_schedule_name(name))))
