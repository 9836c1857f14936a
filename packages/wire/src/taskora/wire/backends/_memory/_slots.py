"""Slots of concurrency keys: who holds them, who waits for them, and who is next."""

from typing import Final

from taskora.wire.backends._memory._record import Record, number, text
from taskora.wire.backends._memory._task import PRIORITY_WEIGHT, TaskStore

_RECHECKED_KEYS: Final = 3
_FREED_AT_ONCE: Final = 100


def concurrency_key(record: Record) -> str:
    """The key that limits a job, or nothing."""
    return text(record, "concurrencyKey")


def limit_of(record: Record, key_limit: int) -> int:
    """How many jobs of its key may run: what the dispatch said, or else what the worker says."""
    if key_limit > 0 and "py:defaultLimit" in record:
        return key_limit
    return number(record, "concurrencyLimit")


def takes_slot(task: TaskStore, record: Record, limit: int) -> bool:
    """Takes a slot of the job's key, if one is free or none is needed."""
    key = concurrency_key(record)
    if not key or limit <= 0:
        return True
    used = task.parking.held.get(key, 0)
    if used >= limit:
        return False
    task.parking.held[key] = used + 1
    return True


def release_slot(task: TaskStore, record: Record) -> bool:
    """Gives the slot of a job back, and the first job that waits for it its chance; false when it has no key."""
    key = concurrency_key(record)
    if not key:
        return False
    left = task.parking.held.get(key, 0) - 1
    if left > 0:
        task.parking.held[key] = left
    else:
        task.parking.held.pop(key, None)
    free_next(task, key)
    return True


def park(task: TaskStore, job_id: str, now_ms: int, *, was_freed: bool) -> None:
    """Sets a job aside until a slot of its key is free; in front of the others if it had been freed."""
    record = task.jobs[job_id]
    place = task.parking.place_for(concurrency_key(record), now_ms)
    priority = number(record, "priority")
    if priority > 0:
        place.add_prioritized(job_id, number(record, "ts") - priority * PRIORITY_WEIGHT)
    else:
        place.add(job_id, in_front=was_freed)


def free_next(task: TaskStore, key: str) -> bool:
    """Lets the first job of a key compete again; false when there is none."""
    job_id = task.parking.jobs_of(key).first()
    if job_id is None:
        return False
    task.parking.unpark(job_id, key)
    record = task.jobs.get(job_id, {})
    if number(record, "priority") > 0:
        task.push_ready(job_id, order_ms=number(record, "ts"))
    else:
        task.parking.freed.append(job_id)
    return True


def pass_on(task: TaskStore, record: Record, limit: int) -> None:
    """A job that may have been freed left without its slot: the next of its key gets the chance."""
    key = concurrency_key(record)
    if key and task.parking.held.get(key, 0) < limit:
        free_next(task, key)


def recheck_parked(task: TaskStore, key_limit: int, now_ms: int) -> None:
    """Looks again at the keys that were not looked at for longest, unless freed jobs have their chance first."""
    parking = task.parking
    if parking.freed:
        return
    for key in parking.keys.page(0, _RECHECKED_KEYS):
        parking.keys.add(key, now_ms)
        first = parking.jobs_of(key).first()
        record = task.jobs.get(first, {}) if first else {}
        limit = limit_of(record, key_limit)
        free = limit - parking.held.get(key, 0) if limit > 0 else 1  # no limit: a ghost
        for _ in range(min(free, _FREED_AT_ONCE)):
            if not free_next(task, key):
                break


def recount(task: TaskStore) -> None:
    """Counts the slots anew: a job may have been deleted while it held one."""
    held: dict[str, int] = {}
    for job_id in task.active:
        key = concurrency_key(task.jobs.get(job_id, {}))
        if key:
            held[key] = held.get(key, 0) + 1
    for key in [*held, *(key for key in task.parking.keys if key not in held)]:
        counted, count = task.parking.held.get(key, 0), held.get(key, 0)
        if count:
            task.parking.held[key] = count
        else:
            task.parking.held.pop(key, None)
        if (count < counted or not count) and free_next(task, key):
            task.marker.set(0)
