"""push_collect, read_collect, and the claim of a batch: items that gather and run as one job."""

from taskora.wire._operations import Batch, Collected, Collecting, PushCollect, ReadCollect
from taskora.wire.backends._memory._creating import new_record
from taskora.wire.backends._memory._open_batch import OpenBatch
from taskora.wire.backends._memory._record import Record, forget, text, write
from taskora.wire.backends._memory._remembering import recall, remember
from taskora.wire.backends._memory._task import TaskStore


def push_collect(task: TaskStore, operation: PushCollect, now_ms: int) -> Collected:
    """Adds an item to the batch of its key."""
    batch = task.batches.get(operation.key)
    repeated = operation.resend and recall(task, operation.job_id, now_ms)
    if repeated or operation.job_id in task.jobs:
        return Collected(collecting=Collecting.REPEATED, count=len(batch.items) if batch else 0)
    if batch is not None and len(batch.items) >= operation.max_items:
        return Collected(collecting=Collecting.FULL, count=operation.max_items)
    batch = task.batches.setdefault(operation.key, OpenBatch(first_ms=now_ms))
    batch.items.append(operation.item)
    batch.last_ms = now_ms
    remember(task, operation.job_id, "1", now_ms)
    return _schedule(task, operation, batch, now_ms)


def _schedule(task: TaskStore, operation: PushCollect, batch: OpenBatch, now_ms: int) -> Collected:
    count = len(batch.items)
    is_full = 0 < operation.max_size <= count
    pending = task.values.get(_pending_name(operation.key), now_ms)
    if pending is not None and task.delayed.discard(pending):
        task.jobs.pop(pending, None)
        task.parking.newer.discard(pending)
    elif _is_due(task, pending) and not is_full:
        return Collected(collecting=Collecting.WAITING, count=count)
    if is_full:
        _run_now(task, operation, now_ms)
        return Collected(collecting=Collecting.FLUSHED, count=count)
    due_ms = now_ms + operation.delay_ms
    if operation.max_wait_ms > 0:
        due_ms = min(due_ms, batch.first_ms + operation.max_wait_ms)
    _run_later(task, operation, count, due_ms, now_ms)
    return Collected(collecting=Collecting.WAITING, count=count)


def _is_due(task: TaskStore, job_id: str | None) -> bool:
    """Promoted, but not claimed: then it would carry its items."""
    record = task.jobs.get(job_id or "", {})
    return "collectKey" in record and record.get("state") == b"waiting"


def _run_now(task: TaskStore, operation: PushCollect, now_ms: int) -> None:
    record = task.jobs[operation.job_id] = new_record(operation, now_ms)
    write(record, state="waiting", priority=0, data=_take_items(task, operation.key) or b"[]")
    task.push_ready(operation.job_id, order_ms=now_ms)
    task.marker.set(0)
    task.emit(now_ms, "waiting", operation.job_id)


def _run_later(task: TaskStore, operation: PushCollect, count: int, due_ms: int, now_ms: int) -> None:
    record = task.jobs[operation.job_id] = new_record(operation, now_ms)
    write(record, state="delayed", collectKey=operation.key, data="[]")
    task.delayed.add(operation.job_id, due_ms)
    task.marker.advance(due_ms)
    lasts_ms = max(1, 2 * max(operation.delay_ms, operation.max_wait_ms))
    task.values.set(_pending_name(operation.key), operation.job_id, now_ms, lasts_ms=lasts_ms)
    task.emit(now_ms, "collect", operation.job_id, count=count, key=operation.key)


def _pending_name(key: str) -> str:
    return f"collect:{key}:job"


def _take_items(task: TaskStore, key: str) -> bytes | None:
    batch = task.batches.pop(key, None)
    task.values.drop(_pending_name(key))
    return None if batch is None else b"[" + b",".join(batch.items) + b"]"


def drain(task: TaskStore, record: Record) -> bool:
    """Gives a batch job its items, so that every later attempt sees the same; false when there are none."""
    if "collectKey" not in record:
        return True
    items = _take_items(task, text(record, "collectKey"))
    if items is None:
        return False
    write(record, data=items)
    forget(record, "collectKey")
    return True


def read_collect(task: TaskStore, operation: ReadCollect, _now_ms: int) -> Batch:
    """The batch of a key."""
    batch = task.batches.get(operation.key)
    if batch is None:
        return Batch(items=(), count=0, first_ms=None, last_ms=None)
    return Batch(items=tuple(batch.items), count=len(batch.items), first_ms=batch.first_ms, last_ms=batch.last_ms)
