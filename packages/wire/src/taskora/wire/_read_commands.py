"""How operations that only look are carried out by Redis."""

from collections.abc import Sequence
from typing import Any, Final, cast

from taskora.contracts.records import replace
from taskora.wire import _operations as op
from taskora.wire import _transitions as lua
from taskora.wire._command import Command, builds
from taskora.wire._job import (
    STATUS_FIELDS,
    JobRecord,
    JobStatus,
    decode_log,
    decode_record,
    decode_status,
    link_of,
)
from taskora.wire._keys import Keyspace

_STATUS_FIELD_NAMES: Final = " ".join(STATUS_FIELDS)


@builds(op.ReadStatuses)
def _read_statuses(
    operation: op.ReadStatuses, keyspace: Keyspace, _now_ms: int | None
) -> Command[tuple[JobStatus | None, ...]]:
    call = lua.read_fields(keys=keyspace.task(operation.task), fields=_STATUS_FIELD_NAMES, job_ids=operation.job_ids)
    return Command(call, lambda reply: tuple(decode_status(row) for row in reply))


@builds(op.ReadJob)
def _read_job(operation: op.ReadJob, keyspace: Keyspace, now_ms: int | None) -> Command[JobRecord | None]:
    call = lua.read_job(keys=keyspace.task(operation.task), now_ms=now_ms, job_id=operation.job_id)

    def decode(reply: tuple[list[bytes], list[bytes], bytes]) -> JobRecord | None:
        record, logs, reason = reply
        return decode_record(operation.job_id, _mapping(record), logs, reason.decode())

    return Command(call, decode)


def _mapping(flat: Sequence[bytes]) -> dict[str, bytes]:
    names = (name.decode("utf-8", "backslashreplace") for name in flat[::2])
    return dict(zip(names, flat[1::2], strict=True))


@builds(op.ReadLogs)
def _read_logs(operation: op.ReadLogs, keyspace: Keyspace, _now_ms: int | None) -> Command[Any]:
    call = lua.read_logs(keys=keyspace.task(operation.task), job_id=operation.job_id)
    return Command(call, lambda reply: tuple(decode_log(entry) for entry in reply))


@builds(op.ListJobs)
def _list_jobs(operation: op.ListJobs, keyspace: Keyspace, now_ms: int | None) -> Command[op.JobPage]:
    keys = keyspace.task(operation.task)
    call = lua.list_jobs(
        keys=keys,
        finished_key=keys.finished_key(operation.state),
        now_ms=now_ms,
        state=operation.state,
        offset=operation.offset,
        limit=operation.limit,
        after=operation.after,
    )

    def decode(reply: tuple[list[list[bytes]], list[int]]) -> op.JobPage:
        rows, rest = reply
        records = (decode_record(row[0].decode(), _mapping(row[2:]), reason=row[1].decode()) for row in rows)
        found = tuple(record for record in records if record is not None)
        return op.JobPage(records=found, rest=_rest(operation, len(rows), *rest) if rest else None)

    return Command(call, decode)


def _rest(operation: op.ListJobs, found: int, after: int, skipped: int) -> op.ListJobs:
    return replace(operation, after=after, offset=operation.offset - skipped, limit=operation.limit - found)


@builds(op.CountJobs)
def _count_jobs(operation: op.CountJobs, keyspace: Keyspace, now_ms: int | None) -> Command[op.JobCounts]:
    def decode(reply: list[int]) -> op.JobCounts:
        waiting, active, delayed, completed, failed, expired, cancelled, oldest, *parked = reply
        saturated, newer, unserved, workers, limited_until = parked
        return op.JobCounts(
            waiting=waiting,
            active=active,
            delayed=delayed,
            completed=completed,
            failed=failed,
            expired=expired,
            cancelled=cancelled,
            oldest_waiting_age_ms=None if oldest < 0 else oldest,
            parked=saturated,
            newer=newer,
            unserved=unserved,
            workers=workers,
            rate_limited_until_ms=None if limited_until < 0 else limited_until,
        )

    return Command(lua.count_jobs(keys=keyspace.task(operation.task), now_ms=now_ms), decode)


@builds(op.CountVersions)
def _count_versions(operation: op.CountVersions, keyspace: Keyspace, _now_ms: int | None) -> Command[op.VersionCounts]:
    def decode(reply: tuple[list[int], list[int], list[int], list[bytes]]) -> op.VersionCounts:
        *rows, rest = reply
        waiting, active, delayed = (dict(zip(row[::2], row[1::2], strict=True)) for row in rows)
        more = replace(operation, cursor=rest[0].decode()) if rest else None
        return op.VersionCounts(waiting=waiting, active=active, delayed=delayed, rest=more)

    return Command(lua.count_versions(keys=keyspace.task(operation.task), cursor=operation.cursor), decode)


@builds(op.ReadLinks)
def _read_links(operation: op.ReadLinks, keyspace: Keyspace, _now_ms: int | None) -> Command[Any]:
    call = lua.read_fields(keys=keyspace.task(operation.task), fields="_wf _wfNode", job_ids=operation.job_ids)
    return Command(call, lambda reply: tuple(link_of(*row) for row in reply))


@builds(op.LastEvent)
def _last_event(operation: op.LastEvent, keyspace: Keyspace, _now_ms: int | None) -> Command[str]:
    call = lua.last_event(keys=keyspace.task(operation.task))
    return Command(call, lambda reply: cast("bytes", reply).decode())


@builds(op.ScanTasks)
def _scan_tasks(operation: op.ScanTasks, keyspace: Keyspace, _now_ms: int | None) -> Command[op.TaskPage]:
    def decode(reply: tuple[bytes, list[bytes]]) -> op.TaskPage:
        cursor, keys = reply
        return op.TaskPage(cursor=cursor.decode(), tasks=tuple(keyspace.task_of(key.decode()) for key in keys))

    call = lua.scan_tasks(base=keyspace.base, pattern=keyspace.task_pattern, cursor=operation.cursor)
    return Command(call, decode)
