"""How operators' operations are carried out by Redis."""

from taskora.wire import _operations as op
from taskora.wire import _transitions as lua
from taskora.wire._command import Command, Raw, builds, texts
from taskora.wire._keys import Keyspace
from taskora.wire._version import StoredMeta


@builds(op.Cancel)
def _cancel(operation: op.Cancel, keyspace: Keyspace, now_ms: int | None) -> Command[op.CancelReply]:
    call = lua.cancel(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        job_id=operation.job_id,
        reason=operation.reason,
        resend=operation.resend,
    )
    return Command(call, op.CancelReply)


@builds(op.RetryDead)
def _retry_dead(operation: op.RetryDead, keyspace: Keyspace, now_ms: int | None) -> Command[op.Revived]:
    call = lua.retry_dead(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        offset=operation.offset,
        limit=operation.limit,
        workflow_try=-1 if operation.workflow_try is None else operation.workflow_try,
        request=operation.request,
        resend=operation.resend,
        job_ids=operation.job_ids,
    )

    def decode(reply: Raw) -> op.Revived:
        revived, steps = reply
        return op.Revived(job_ids=texts(revived), steps=texts(steps))

    return Command(call, decode)


@builds(op.RemoveFinished)
def _remove_finished(operation: op.RemoveFinished, keyspace: Keyspace, _now_ms: int | None) -> Command[bool]:
    keys = keyspace.task(operation.task)
    call = lua.remove_finished(
        keys=keys,
        finished_key=keys.finished_key(operation.state),
        job_id=operation.job_id,
        request=operation.request,
        resend=operation.resend,
    )
    return Command(call, bool)


@builds(op.Prune)
def _prune(operation: op.Prune, keyspace: Keyspace, now_ms: int | None) -> Command[op.Pruned]:
    keys = keyspace.task(operation.task)
    call = lua.prune(
        keys=keys,
        finished_key=keys.finished_key(operation.state),
        now_ms=now_ms,
        max_age_ms=-1 if operation.max_age_ms is None else operation.max_age_ms,
        max_items=-1 if operation.max_items is None else operation.max_items,
        spared_ms=operation.spared_ms,
        limit=operation.limit,
        cursor=operation.cursor,
    )

    def decode(reply: tuple[int, int]) -> op.Pruned:
        removed, cursor = reply
        return op.Pruned(removed=removed, cursor=None if cursor < 0 else cursor)

    return Command(call, decode)


@builds(op.Handshake)
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


@builds(op.ReadMigrationLock)
def _read_migration_lock(_operation: op.ReadMigrationLock, keyspace: Keyspace, _now_ms: int | None) -> Command[bytes]:
    return Command(lua.read_migration_lock(migration_lock_key=keyspace.migration_lock_key), bytes)


@builds(op.CancelSteps)
def _cancel_steps(
    operation: op.CancelSteps, keyspace: Keyspace, now_ms: int | None
) -> Command[tuple[op.CancelReply, ...]]:
    call = lua.cancel_steps(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        reason=operation.reason,
        stopped_try=operation.workflow_try,
        job_ids=operation.job_ids,
    )
    return Command(call, lambda replies: tuple(op.CancelReply(reply) for reply in replies))
