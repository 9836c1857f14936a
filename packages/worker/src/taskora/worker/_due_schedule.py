"""One schedule that is due: which of its runs are dispatched, and what is stored of it afterwards.

The order of the steps is what makes every run be dispatched once: see decision 0046.
"""

import logging
from collections.abc import Sequence
from typing import Any, Final

from taskora.contracts import BackendError
from taskora.contracts.records import record, replace
from taskora.producer import PayloadCodec, due_after, due_until
from taskora.wire import (
    Backend,
    Dispatched,
    DispatchOccurrences,
    Occurrence,
    ReadSchedules,
    ScheduleRecord,
    SetDue,
    WriteSchedule,
    decode_schedule,
    encode_schedule,
    occurrence_id,
)

logger = logging.getLogger("taskora.worker")

# A script call holds the server while it runs, and the server holds its arguments.
_LARGEST_CALL: Final = 8 * 1_048_576
_TRIES: Final = 20


@record
class DueSchedule:
    """A schedule that was claimed. Instants are epoch milliseconds.

    Attributes:
        due_ms: When it was due, as its claim says.
        now_ms: When it was claimed.
        claimed_until_ms: When it is due again unless somebody says otherwise.
        raw: Its record.
    """

    name: str
    due_ms: int
    now_ms: int
    claimed_until_ms: int
    raw: bytes

    async def run(self, backend: Backend, codec: PayloadCodec[Any]) -> int | None:
        """Dispatches what is due, and plans what comes next; returns when that is.

        Raises:
            ScheduleRecordError: its record cannot be read. It is due again when the claim ends.
            BackendError: the server cannot be reached; as above.
        """
        record = decode_schedule(self.raw)
        if record.paused:  # whoever paused it died before it was off the list, or another program put it there
            return await self._finish(backend, self.raw, record, record)
        due_ms = _due(record, self.due_ms, self.now_ms)
        if due_ms > self.now_ms:  # somebody died before he could plan what he had stored
            return await self._plan(backend, due_ms)
        next_ms = due_after(record.schedule, self.now_ms, due_ms=due_ms)
        instants = _missed(record, due_ms, self.now_ms)
        raw, record = await self._adopted(backend, record, due_ms)
        after = replace(record, due_ms=next_ms)
        if instants:
            dispatch = _dispatch(self, record, instants, codec.encode(record.schedule.data))
            reply = await backend.run(dispatch)
            if reply is Dispatched.CLAIM_OVER:
                logger.warning("schedule_claim_over", extra={"schedule": self.name})
                return None
            if reply is Dispatched.UNDER_WAY:
                logger.info("schedule_overlap_skipped", extra={"schedule": self.name})
            else:
                after = record.ran(dispatch.jobs[-1].job_id, now_ms=self.now_ms, due_ms=next_ms)
        return await self._finish(backend, raw, record, after)

    async def _adopted(self, backend: Backend, record: ScheduleRecord, due_ms: int) -> tuple[bytes, ScheduleRecord]:
        """The record, with when it was due in it: what another program has planned is known to the claim only."""
        if record.due_ms is not None:
            return self.raw, record
        adopted = replace(record, due_ms=due_ms).revised(self.now_ms)
        raw = encode_schedule(adopted)
        if await backend.run(WriteSchedule(name=self.name, expected=self.raw, record=raw)):
            return raw, adopted
        return self.raw, record

    async def _finish(
        self, backend: Backend, raw: bytes | None, before: ScheduleRecord, after: ScheduleRecord
    ) -> int | None:
        """Writes the record, into whatever others have made of it meanwhile, and plans it; returns for when."""
        for _ in range(_TRIES):
            after = after.revised(self.now_ms)
            if await backend.run(WriteSchedule(name=self.name, expected=raw, record=encode_schedule(after))):
                return await self._plan(backend, after.planned_ms)
            raw = (await backend.run(ReadSchedules(names=[self.name]))).get(self.name)
            if raw is None:
                return await self._plan(backend, None)
            after = _merged(decode_schedule(raw), before, after)
        raise BackendError(f"schedule {self.name!r} was changed by others {_TRIES} times in a row")

    async def _plan(self, backend: Backend, due_ms: int | None) -> int | None:
        """Says when it is due next, unless the claim is over, or somebody has planned or paused it since."""
        await backend.run(SetDue(name=self.name, expected=self.claimed_until_ms, due_ms=due_ms))
        return due_ms


def _merged(found: ScheduleRecord, before: ScheduleRecord, after: ScheduleRecord) -> ScheduleRecord:
    """What others have made of a record, and what a run has made of it."""
    if found.due_ms == before.due_ms:  # nobody has planned it anew
        found = replace(found, due_ms=after.due_ms)
    if (found.last_run_ms or 0) >= (after.last_run_ms or 0):
        return found
    return replace(found, last_job_id=after.last_job_id, last_run_ms=after.last_run_ms)


def _due(record: ScheduleRecord, claimed_ms: int, now_ms: int) -> int:
    """When it was due. The claim of a leader that died has hidden that; the record knows.

    What another program has planned is counted as it counts itself: from the latest run.
    """
    if record.due_ms is not None:
        return record.due_ms
    if record.last_run_ms is not None:
        missed_ms = due_after(record.schedule, record.last_run_ms, due_ms=record.last_run_ms)
        if missed_ms is not None and missed_ms <= now_ms:
            return missed_ms
    return claimed_ms


def _missed(record: ScheduleRecord, due_ms: int, now_ms: int) -> list[int]:
    """The runs to dispatch. Of what another program has planned and nobody ever ran, that is one."""
    found = due_until(record.schedule, now_ms, due_ms=due_ms)
    return found[-1:] if record.due_ms is None and record.last_run_ms is None else found


def _dispatch(due: DueSchedule, record: ScheduleRecord, instants: Sequence[int], data: bytes) -> DispatchOccurrences:
    instants = instants[-max(1, _LARGEST_CALL // max(1, len(data))) :]
    return DispatchOccurrences(
        task=record.task,
        schedule=due.name,
        version=record.version,
        max_attempts=record.max_attempts,
        claimed_until_ms=due.claimed_until_ms,
        overlap=record.schedule.overlap,
        last_job_id=record.last_job_id or "",
        jobs=[_occurrence(due, record, instant_ms, data) for instant_ms in instants],
    )


def _occurrence(due: DueSchedule, record: ScheduleRecord, instant_ms: int, data: bytes) -> Occurrence:
    name = occurrence_id(record.task, due.name, instant_ms)
    delay_ms = 0
    if record.schedule.jitter_ms:
        start_ms = instant_ms + name.int % (record.schedule.jitter_ms + 1)
        delay_ms = max(0, start_ms - due.now_ms)
    return Occurrence(job_id=str(name), data=data, delay_ms=delay_ms, ttl_ms=record.ttl_ms)
