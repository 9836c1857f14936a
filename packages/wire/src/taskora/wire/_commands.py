"""Operations as Redis calls: which script, which keys, which arguments, and what the reply means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

from taskora.contracts import JobState
from taskora.wire import _operations as op
from taskora.wire import _transitions as lua
from taskora.wire._call import Arg, Call, ExchangeReply
from taskora.wire._job import STATUS_FIELDS, JobRecord, JobStatus, decode_log, decode_record, decode_status
from taskora.wire._keys import Keyspace
from taskora.wire._version import StoredMeta

R = TypeVar("R", covariant=True)
Raw = Any  # a reply as the protocol delivers it; its shape is declared by the script and decoded here
O = TypeVar("O", bound=op.Operation[Any])  # noqa: E741 - operation

_SETTLEMENTS: Final = {settlement.value: settlement for settlement in op.Settlement}
_LEASE_STATES: Final = {state.value: state for state in op.LeaseState}
_STATUS_FIELD_NAMES: Final = " ".join(STATUS_FIELDS)


@dataclass(frozen=True, slots=True)
class Command(Generic[R]):
    """A call, and the function that turns its raw reply into the operation's."""

    call: Call[Raw]
    decode: Callable[[Raw], R]


Builder = Callable[[O, Keyspace, int | None], Command[Any]]
_BUILDERS: dict[type[op.Operation[Any]], Builder[Any]] = {}


def command_for(operation: op.Operation[R], keyspace: Keyspace, now_ms: int | None) -> Command[R]:
    """The command that carries out an operation; `now_ms` of None leaves the time to the server."""
    return _BUILDERS[type(operation)](operation, keyspace, now_ms)


def _builds(operation: type[O]) -> Callable[[Builder[O]], Builder[O]]:
    def register(builder: Builder[O]) -> Builder[O]:
        _BUILDERS[operation] = builder
        return builder

    return register


def _flags(reply: Sequence[int]) -> tuple[bool, ...]:
    return tuple(flag == 1 for flag in reply)


def _texts(reply: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(text.decode() for text in reply)


@_builds(op.Enqueue)
def _enqueue(operation: op.Enqueue, keyspace: Keyspace, now_ms: int | None) -> Command[tuple[bool, ...]]:
    jobs: list[Arg] = []
    for job in operation.jobs:
        jobs += (job.job_id, job.data, job.delay_ms, job.priority, job.ttl_ms)
    call = lua.enqueue(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        version=operation.version,
        max_attempts=operation.max_attempts,
        resend=operation.resend,
        jobs=jobs,
    )
    return Command(call, _flags)


@_builds(op.Exchange)
def _exchange(operation: op.Exchange, keyspace: Keyspace, now_ms: int | None) -> Command[op.Exchanged]:
    outcomes: list[Arg] = []
    for outcome in operation.outcomes:
        outcomes += (outcome.kind.value, outcome.job_id, outcome.token, outcome.payload, outcome.delay_ms)
    call = lua.exchange(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        token=operation.token,
        lease_ms=operation.lease_ms,
        slots=operation.slots,
        on_expire=operation.on_expire,
        resend=operation.resend,
        outcomes=outcomes,
    )
    token = operation.token

    def decode(reply: ExchangeReply) -> op.Exchanged:
        server_ms, due_ms, statuses, claims = reply
        return op.Exchanged(
            now_ms=server_ms,
            due_ms=None if due_ms < 0 else due_ms,
            settlements=tuple(_SETTLEMENTS[status] for status in statuses),
            claims=tuple(_claim(row, token) for row in claims),
        )

    return Command(call, decode)


def _claim(row: Sequence[bytes], token: str) -> op.Claim:
    job_id, data, version, attempt, timestamp = row
    return op.Claim(
        job_id=job_id.decode(),
        token=token,
        data=data,
        version=int(version),
        attempt=int(attempt),
        timestamp_ms=int(timestamp),
    )


@_builds(op.ExtendLeases)
def _extend_leases(
    operation: op.ExtendLeases, keyspace: Keyspace, _now_ms: int | None
) -> Command[tuple[op.LeaseState, ...]]:
    leases: list[Arg] = []
    for lease in operation.leases:
        leases += (lease.job_id, lease.token)
    call = lua.extend_leases(keys=keyspace.task(operation.task), lease_ms=operation.lease_ms, leases=leases)
    return Command(call, lambda reply: tuple(_LEASE_STATES[state] for state in reply))


@_builds(op.RecoverStalled)
def _recover_stalled(operation: op.RecoverStalled, keyspace: Keyspace, now_ms: int | None) -> Command[op.Recovered]:
    call = lua.recover_stalled(keys=keyspace.task(operation.task), now_ms=now_ms, max_count=operation.max_count)

    def decode(reply: list[list[bytes]]) -> op.Recovered:
        recovered, failed, cancelled = (_texts(ids) for ids in reply)
        return op.Recovered(recovered=recovered, failed=failed, cancelled=cancelled)

    return Command(call, decode)


@_builds(op.Cancel)
def _cancel(operation: op.Cancel, keyspace: Keyspace, now_ms: int | None) -> Command[op.CancelReply]:
    call = lua.cancel(
        keys=keyspace.task(operation.task), now_ms=now_ms, job_id=operation.job_id, reason=operation.reason
    )
    return Command(call, op.CancelReply)


@_builds(op.Report)
def _report(operation: op.Report, keyspace: Keyspace, _now_ms: int | None) -> Command[tuple[bool, ...]]:
    entries: list[Arg] = []
    for entry in operation.entries:
        entries += (entry.kind, entry.job_id, entry.token, entry.payload)
    return Command(lua.report(keys=keyspace.task(operation.task), entries=entries), _flags)


@_builds(op.RetryDead)
def _retry_dead(operation: op.RetryDead, keyspace: Keyspace, now_ms: int | None) -> Command[tuple[str, ...]]:
    call = lua.retry_dead(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        job_id=operation.job_id or "",
        limit=operation.limit,
    )
    return Command(call, _texts)


@_builds(op.RemoveFinished)
def _remove_finished(operation: op.RemoveFinished, keyspace: Keyspace, _now_ms: int | None) -> Command[bool]:
    keys = keyspace.task(operation.task)
    call = lua.remove_finished(keys=keys, finished_key=keys.finished_key(operation.state), job_id=operation.job_id)
    return Command(call, bool)


@_builds(op.Prune)
def _prune(operation: op.Prune, keyspace: Keyspace, now_ms: int | None) -> Command[int]:
    keys = keyspace.task(operation.task)
    call = lua.prune(
        keys=keys,
        finished_key=keys.finished_key(operation.state),
        now_ms=now_ms,
        max_age_ms=-1 if operation.max_age_ms is None else operation.max_age_ms,
        max_items=-1 if operation.max_items is None else operation.max_items,
        limit=operation.limit,
    )
    return Command(call, int)


@_builds(op.Handshake)
def _handshake(operation: op.Handshake, keyspace: Keyspace, now_ms: int | None) -> Command[StoredMeta]:
    call = lua.handshake(
        meta_key=keyspace.meta_key,
        now_ms=now_ms,
        wire_version=operation.ours.wire_version,
        min_compat=operation.ours.min_compat,
        written_by=operation.ours.written_by,
    )

    def decode(reply: list[bytes]) -> StoredMeta:
        wire_version, min_compat, written_by, written_at = (text.decode("utf-8", "backslashreplace") for text in reply)
        return StoredMeta(
            wire_version=wire_version, min_compat=min_compat, written_by=written_by, written_at=written_at
        )

    return Command(call, decode)


@_builds(op.ReadMigrationLock)
def _read_migration_lock(_operation: op.ReadMigrationLock, keyspace: Keyspace, _now_ms: int | None) -> Command[bytes]:
    return Command(lua.read_migration_lock(migration_lock_key=keyspace.migration_lock_key), bytes)


@_builds(op.ReadStatuses)
def _read_statuses(
    operation: op.ReadStatuses, keyspace: Keyspace, _now_ms: int | None
) -> Command[tuple[JobStatus | None, ...]]:
    call = lua.read_fields(keys=keyspace.task(operation.task), fields=_STATUS_FIELD_NAMES, job_ids=operation.job_ids)
    return Command(call, lambda reply: tuple(decode_status(row) for row in reply))


@_builds(op.ReadJob)
def _read_job(operation: op.ReadJob, keyspace: Keyspace, _now_ms: int | None) -> Command[JobRecord | None]:
    call = lua.read_job(keys=keyspace.task(operation.task), job_id=operation.job_id)
    return Command(call, lambda reply: decode_record(operation.job_id, _mapping(reply[0]), reply[1]))


def _mapping(flat: Sequence[bytes]) -> dict[str, bytes]:
    names = (name.decode("utf-8", "backslashreplace") for name in flat[::2])
    return dict(zip(names, flat[1::2], strict=True))


@_builds(op.ReadLogs)
def _read_logs(operation: op.ReadLogs, keyspace: Keyspace, _now_ms: int | None) -> Command[Any]:
    call = lua.read_logs(keys=keyspace.task(operation.task), job_id=operation.job_id)
    return Command(call, lambda reply: tuple(decode_log(entry) for entry in reply))


@_builds(op.ListJobs)
def _list_jobs(operation: op.ListJobs, keyspace: Keyspace, _now_ms: int | None) -> Command[tuple[JobRecord, ...]]:
    keys = keyspace.task(operation.task)
    call = lua.list_jobs(
        keys=keys,
        finished_key=keys.finished_key(operation.state),
        state=operation.state,
        offset=operation.offset,
        limit=operation.limit,
    )

    def decode(reply: list[list[bytes]]) -> tuple[JobRecord, ...]:
        records = (decode_record(row[0].decode(), _mapping(row[1:])) for row in reply)
        return tuple(record for record in records if record is not None)

    return Command(call, decode)


@_builds(op.CountJobs)
def _count_jobs(operation: op.CountJobs, keyspace: Keyspace, now_ms: int | None) -> Command[op.JobCounts]:
    def decode(reply: list[int]) -> op.JobCounts:
        waiting, active, delayed, completed, failed, expired, cancelled, oldest = reply
        return op.JobCounts(
            waiting=waiting,
            active=active,
            delayed=delayed,
            completed=completed,
            failed=failed,
            expired=expired,
            cancelled=cancelled,
            oldest_waiting_age_ms=None if oldest < 0 else oldest,
        )

    return Command(lua.count_jobs(keys=keyspace.task(operation.task), now_ms=now_ms), decode)


@_builds(op.LastEvent)
def _last_event(operation: op.LastEvent, keyspace: Keyspace, _now_ms: int | None) -> Command[str]:
    call = lua.last_event(keys=keyspace.task(operation.task))
    return Command(call, lambda reply: cast("bytes", reply).decode())


@_builds(op.ScanTasks)
def _scan_tasks(operation: op.ScanTasks, keyspace: Keyspace, _now_ms: int | None) -> Command[op.TaskPage]:
    def decode(reply: tuple[bytes, list[bytes]]) -> op.TaskPage:
        cursor, keys = reply
        return op.TaskPage(cursor=cursor.decode(), tasks=tuple(keyspace.task_of(key.decode()) for key in keys))

    call = lua.scan_tasks(base=keyspace.base, pattern=keyspace.task_pattern, cursor=operation.cursor)
    return Command(call, decode)


FINAL_STATES: Final[tuple[op.FinalState, ...]] = (
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.EXPIRED,
)
