"""How the operations of schedulers are carried out by Redis."""

from collections.abc import Mapping, Sequence

from taskora.wire import _operations as op
from taskora.wire import _transitions as lua
from taskora.wire._call import Arg
from taskora.wire._command import Command, builds
from taskora.wire._job import text_of
from taskora.wire._keys import Keyspace


@builds(op.Lead)
def _lead(operation: op.Lead, keyspace: Keyspace, _now_ms: int | None) -> Command[bool]:
    call = lua.lead(schedules_lock_key=keyspace.schedules_lock_key, token=operation.token, ttl_ms=operation.ttl_ms)
    return Command(call, bool)


@builds(op.StepDown)
def _step_down(operation: op.StepDown, keyspace: Keyspace, _now_ms: int | None) -> Command[bool]:
    return Command(lua.step_down(schedules_lock_key=keyspace.schedules_lock_key, token=operation.token), bool)


@builds(op.ClaimDue)
def _claim_due(operation: op.ClaimDue, keyspace: Keyspace, now_ms: int | None) -> Command[op.ClaimedDue]:
    call = lua.claim_due(
        schedules_next_key=keyspace.schedules_next_key,
        now_ms=now_ms,
        lease_ms=operation.lease_ms,
        limit=operation.limit,
    )

    def decode(reply: tuple[int, bytes, list[bytes]]) -> op.ClaimedDue:
        now_ms, following, due = reply
        return op.ClaimedDue(now_ms=now_ms, next_ms=_instant(following) if following else None, due=_due(due))

    return Command(call, decode)


@builds(op.SetDue)
def _set_due(operation: op.SetDue, keyspace: Keyspace, _now_ms: int | None) -> Command[bool]:
    call = lua.set_due(
        schedules_next_key=keyspace.schedules_next_key,
        name=operation.name,
        expected="" if operation.expected == "any" else str(operation.expected),
        due_ms="" if operation.due_ms is None else str(operation.due_ms),
    )
    return Command(call, bool)


@builds(op.WriteSchedule)
def _write_schedule(operation: op.WriteSchedule, keyspace: Keyspace, _now_ms: int | None) -> Command[bool]:
    call = lua.write_schedule(
        schedules_key=keyspace.schedules_key,
        name=operation.name,
        expected=operation.expected or b"",
        record=operation.record or b"",
    )
    return Command(call, bool)


@builds(op.ReadSchedules)
def _read_schedules(
    operation: op.ReadSchedules, keyspace: Keyspace, _now_ms: int | None
) -> Command[Mapping[str, bytes]]:
    call = lua.read_schedules(schedules_key=keyspace.schedules_key, names=operation.names)

    return Command(call, _records)


@builds(op.ScanSchedules)
def _scan_schedules(operation: op.ScanSchedules, keyspace: Keyspace, _now_ms: int | None) -> Command[op.SchedulePage]:
    call = lua.scan_schedules(schedules_key=keyspace.schedules_key, cursor=operation.cursor, limit=operation.limit)

    def decode(reply: tuple[bytes, list[bytes]]) -> op.SchedulePage:
        cursor, flat = reply
        return op.SchedulePage(cursor=cursor.decode(), records=_records(flat))

    return Command(call, decode)


@builds(op.ReadDue)
def _read_due(operation: op.ReadDue, keyspace: Keyspace, now_ms: int | None) -> Command[op.DueTimes]:
    call = lua.read_due(schedules_next_key=keyspace.schedules_next_key, now_ms=now_ms, names=operation.names)

    def decode(reply: tuple[int, bytes, list[bytes]]) -> op.DueTimes:
        found_ms, earliest, due = reply
        return op.DueTimes(now_ms=found_ms, earliest_ms=_instant(earliest) if earliest else None, due=_due(due))

    return Command(call, decode)


@builds(op.DispatchOccurrences)
def _dispatch_occurrences(
    operation: op.DispatchOccurrences, keyspace: Keyspace, now_ms: int | None
) -> Command[op.Dispatched]:
    jobs: list[Arg] = []
    for job in operation.jobs:
        jobs += (job.job_id, job.data, job.delay_ms, job.ttl_ms)
    call = lua.dispatch_occurrences(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        version=operation.version,
        max_attempts=operation.max_attempts,
        schedule=operation.schedule,
        claimed_until_ms=operation.claimed_until_ms,
        overlap=operation.overlap,
        last_job_id=operation.last_job_id,
        jobs=jobs,
    )
    return Command(call, lambda reply: op.Dispatched(min(reply, 0)))


@builds(op.WithdrawClaim)
def _withdraw_claim(operation: op.WithdrawClaim, keyspace: Keyspace, now_ms: int | None) -> Command[bool]:
    call = lua.withdraw_claim(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        schedule=operation.schedule,
        claimed_until_ms=operation.claimed_until_ms,
    )
    return Command(call, bool)


def _records(flat: Sequence[bytes]) -> dict[str, bytes]:
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return {text_of(name) or "": record for name, record in pairs if record}


def _due(flat: Sequence[bytes]) -> dict[str, int]:
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return {text_of(name) or "": _instant(score) for name, score in pairs if score}


def _instant(score: bytes) -> int:
    return int(float(score))
