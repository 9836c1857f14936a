"""Changing a schedule, while schedulers run it and others change it.

Record and due time lie in different slots, so no script changes both. The record is the truth. The due time is a note
that somebody must look at it, and a note may be lost only by those who know that nothing is to be done. So whoever
changes a schedule

1. reads both,
2. holds it: puts the note off for as long as the change may take, if it is still the one that was read. A scheduler
   that has claimed it is forbidden to dispatch before, and can plan nothing afterwards;
3. writes the record, if it is still the one that was read. No record is ever written twice, so whoever has read the one
   before cannot write now;
4. sets the note as the record says, or removes it, if it is still the one of step 2.

Whoever dies in between leaves a note, and the scheduler does at that time what the record says. Whoever finds anything
else than was read begins again.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from taskora.contracts import BackendError
from taskora.contracts.records import record, replace
from taskora.producer._schedule_info import Stored, stored_schedule
from taskora.wire import (
    Expected,
    Flow,
    ReadDue,
    ReadSchedules,
    ScheduleRecord,
    SetDue,
    WithdrawClaim,
    WriteSchedule,
    ask,
    encode_schedule,
)

HOLD_MS: Final = 10_000
_TRIES: Final = 30


@record
class Edit:
    """What shall be stored: a record, None for none, and when it is due, None for never."""

    raw: bytes | None
    due_ms: int | None


Decide: TypeAlias = Callable[[Stored], Edit | None]
"""Says what becomes of what is stored; None when it is as it should be."""


def edit_to(stored: Stored, record: ScheduleRecord) -> Edit:
    """Stores a record in place of what was read."""
    revision = 0 if stored.record is None else stored.record.revision
    raw = encode_schedule(replace(record, revision=revision).revised(stored.now_ms))
    return Edit(raw=raw, due_ms=record.planned_ms)


def edit_schedule(name: str, decide: Decide) -> Flow[Stored]:
    """Changes a schedule; returns what was found if nothing had to be changed, and else what was stored.

    Raises:
        BackendError: others changed it all the while.
    """
    held_ms: int | None = None
    for _ in range(_TRIES):
        stored = yield from read_stored(name)
        edit = decide(stored)
        is_held = held_ms is not None and stored.due_ms == held_ms
        if edit is None:
            # What is held must be let go, with a record that others cannot have read. Where there is none, that cannot
            # be written: somebody may be about to create one. A scheduler will look.
            if not is_held or stored.record is None:
                return stored
            edit = edit_to(stored, stored.record)
        if not is_held and _is_planned_by_others(stored):
            yield from _adopt(stored)
            continue
        is_planned = edit.due_ms is not None or stored.due_ms is not None
        if is_planned:
            held_ms = yield from _hold(stored, withdraws=not is_held)
            if held_ms is None:
                continue
        if not (yield from ask(WriteSchedule(name=name, expected=stored.raw, record=edit.raw))):
            continue
        if is_planned and held_ms is not None:
            yield from _release(name, held_ms, edit)
        return stored_schedule(name, edit.raw, edit.due_ms, stored.now_ms)
    raise BackendError(f"schedule {name!r} was changed by others {_TRIES} times in a row: try again")


def read_stored(name: str) -> Flow[Stored]:
    """What is stored under a name."""
    records = yield from ask(ReadSchedules(names=[name]))
    times = yield from ask(ReadDue(names=[name]))
    return stored_schedule(name, records.get(name), times.due.get(name), times.now_ms)


def _hold(stored: Stored, *, withdraws: bool) -> Flow[int | None]:
    """Keeps schedulers away for a while; returns until when, None when somebody else was faster."""
    until_ms = stored.now_ms + HOLD_MS
    if until_ms == stored.due_ms:  # that of somebody else: each is to be told from any other
        until_ms += 1
    if withdraws and stored.is_claimed and stored.record is not None and stored.due_ms is not None:
        # First: as long as the claim can be seen, everybody knows that there is one.
        claim_ms = stored.due_ms
        yield from ask(WithdrawClaim(task=stored.record.task, schedule=stored.name, claimed_until_ms=claim_ms))
    expected: Expected = "none" if stored.due_ms is None else stored.due_ms
    is_mine = yield from ask(SetDue(name=stored.name, expected=expected, due_ms=until_ms))
    return until_ms if is_mine else None


def _release(name: str, held_ms: int, edit: Edit) -> Flow[None]:
    """Says when it is due. Whoever took it over meanwhile does so himself, by the record that was just written."""
    if (yield from ask(SetDue(name=name, expected=held_ms, due_ms=edit.due_ms))) or edit.due_ms is None:
        return
    found = yield from read_stored(name)
    if found.raw == edit.raw and found.due_ms is None:  # the hold was over, and a scheduler found no record
        yield from ask(SetDue(name=name, expected="none", due_ms=edit.due_ms))


def _is_planned_by_others(stored: Stored) -> bool:
    return stored.record is not None and stored.record.due_ms is None and stored.due_ms is not None


def _adopt(stored: Stored) -> Flow[None]:
    """Writes down when it is due, before that is put off: only the due time itself knows."""
    if stored.record is not None:
        planned = replace(stored.record, due_ms=stored.due_ms).revised(stored.now_ms)
        yield from ask(WriteSchedule(name=stored.name, expected=stored.raw, record=encode_schedule(planned)))
