"""A memory backend, seen as the keyspace that a server would hold after the same operations.

Who teaches memory to store something new adds it here; until then every history that stores it fails, because the
server has keys that memory seems not to have.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from taskora.wire import FINAL_STATES, Keyspace
from taskora.wire._worker_operations import encode_worker
from taskora.wire.backends import MemoryBackend
from taskora.wire.backends._memory._sorted_ids import SortedIds
from taskora.wire.backends._memory._subscriber import Subscriber
from taskora.wire.backends._memory._task import TaskStore
from taskora.wire.backends._memory._waiting import AsyncSleeper
from tests.properties.image import PARKED_FOR, Image, Stored

WORKERS_KEPT_MS = 60_000  # the value of `lua/fragments/workers.lua`
Named: TypeAlias = Iterator[tuple[str, Stored]]


class _Awake(AsyncSleeper):
    """Sleeps in no loop."""

    def __init__(self) -> None:
        pass

    def wake(self) -> bool:
        return True


class MemorySide:
    """Looks into a memory backend, and does to it what happens to servers."""

    def __init__(self, backend: MemoryBackend, tasks: Iterable[str]) -> None:
        self._store = backend._store
        self._listeners = {task: Subscriber(_Awake()) for task in tasks}
        for task, listener in self._listeners.items():
            self._store.task(task).subscribers.add(listener)
        self._announced: dict[str, tuple[object, float]] = {}  # workers, and until when a server has them

    def image(self) -> Image:
        """Every key that a server would hold now."""
        now_ms = self._store.clock.now_ms()
        found: Image = {}
        for task in self._store._tasks.values():
            found |= {task.prefix + name: stored for name, stored in _keys_of(task, now_ms) if stored.value}
            if task.workers:
                found |= dict(_worker_keys(task, self._workers_end(task, now_ms)))
        return found | dict(self._keyspace_keys())

    def _workers_end(self, task: TaskStore, now_ms: int) -> float:
        workers, ends_at_ms = self._announced.get(task.name, (None, 0))
        if workers is not task.workers:  # every announcement makes them anew
            ends_at_ms = now_ms + WORKERS_KEPT_MS
            self._announced[task.name] = task.workers, ends_at_ms
        return ends_at_ms

    def _keyspace_keys(self) -> Named:
        keys, meta = Keyspace(), self._store._meta
        if meta is not None:
            fields = {
                "wireVersion": meta.wire_version,
                "minCompat": meta.min_compat,
                "writtenBy": meta.written_by,
                "writtenAt": meta.written_at,
            }
            yield keys.meta_key, Stored({name: text.encode() for name, text in fields.items()})
        book = self._store.schedules
        if book.records:
            yield keys.schedules_key, Stored(dict(book.records))
        if len(book.due):
            yield keys.schedules_next_key, _scores(book.due)
        if book.leader_at(self._store.clock.now_ms()):
            yield keys.schedules_lock_key, Stored(book.leader.encode(), book.leads_until_ms)
        yield from self._workflow_keys(keys, self._store.clock.now_ms())
        if self._store.migration_lock:
            yield keys.migration_lock_key, Stored(self._store.migration_lock)

    def _workflow_keys(self, keys: Keyspace, now_ms: int) -> Named:
        workflows = self._store._workflows
        for workflow_id, stored in workflows._stored.items():
            ends_at_ms = workflows._ends.score(workflow_id)
            if ends_at_ms is None or now_ms < ends_at_ms:
                yield (
                    keys.workflow_key(workflow_id),
                    Stored(dict(stored.fields), None if ends_at_ms is None else int(ends_at_ms)),
                )
        if len(workflows.running):
            yield keys.running_workflows_key, _scores(workflows.running)
        if len(workflows.ended):
            yield keys.ended_workflows_key, _scores(workflows.ended)
        if workflows.tries:
            tries = {workflow_id: str(number).encode() for workflow_id, number in workflows.tries.items()}
            yield keys.workflow_tries_key, Stored(tries)

    def events(self, task: str, since: int) -> list[tuple[str, list[bytes]]]:
        """Positions and flat fields of the events of a task, from the one with that number on."""
        log = self._store.task(task).events
        found: list[tuple[str, list[bytes]]] = []
        for place, name, job_id, fields in list(log._entries)[since:]:
            flat: list[Any] = ["event", name, "jobId", job_id, *(part for pair in fields.items() for part in pair)]
            found.append((f"{place[0]}-{place[1]}", [_bytes(part) for part in flat]))
        return found

    def hear(self) -> list[tuple[str, str]]:
        """The cancellations that were published since the last call, by channel."""
        found: list[tuple[str, str]] = []
        for task, listener in self._listeners.items():
            found += [(Keyspace().task(task).cancel_channel, message.job_id) for message in listener.messages]
            listener.messages.clear()
        return found

    def lose_lease(self, task: str, job_id: str) -> None:
        """Ends a lease now, as if its worker had died long ago."""
        self._store.task(task).leases.pop(job_id, None)

    def change_slots(self, task: str, key: str, by: int) -> None:
        """Takes or gives back slots of a concurrency key behind the back of the backend."""
        held = self._store.task(task).parking.held
        held[key] = held.get(key, 0) + by
        if held[key] <= 0:
            del held[key]

    def take_marker(self, task: str) -> None:
        """Consumes the wake-up token, as a worker does that waited for it."""
        self._store.task(task).marker._look_at_ms = None

    def lock_for_migration(self, text: bytes) -> None:
        """Says that somebody rewrites the keyspace, or no longer."""
        self._store.migration_lock = text

    def forget_ended(self) -> None:
        """Drops what has ended and is only not looked at; no step of the clock may bring it back."""
        now_ms = self._store.clock.now_ms()
        self._store.schedules.leader = self._store.schedules.leader_at(now_ms)
        self._store._workflows.find("", now_ms)
        for task in self._store._tasks.values():
            if self._announced.get(task.name, (None, now_ms))[1] <= now_ms:
                task.workers.clear()
            task.leases = {job_id: lease for job_id, lease in task.leases.items() if lease.ends_at_ms > now_ms}
            for name, stored in [*task.values._stored.items()]:
                if stored.ends_at_ms <= now_ms:
                    task.values.drop(name)
            starts = task.starts._by_key
            for key in [key for key, of_key in starts.items() if of_key.ends_at_ms <= now_ms]:
                del starts[key]


def _keys_of(task: TaskStore, now_ms: int) -> Named:
    yield from ((job_id, Stored(dict(record))) for job_id, record in task.jobs.items())
    yield from ((f"{job_id}:logs", Stored(list(entries))) for job_id, entries in task.logs.items())
    for job_id, lease in task.leases.items():
        if now_ms < lease.ends_at_ms:
            yield f"{job_id}:lock", Stored(lease.token.encode(), lease.ends_at_ms)
    yield "wait", Stored([*task.waiting][::-1])
    yield "prioritized", _scores(task.prioritized)
    yield "active", Stored([*task.active][::-1])
    yield "delayed", _scores(task.delayed)
    yield from ((state.value, _scores(task.finished[state])) for state in FINAL_STATES)
    yield "workflow:untold", _scores(task.untold)
    yield "stalled", Stored(frozenset(task.stalled))
    look_at_ms = task.marker._look_at_ms
    yield "marker", Stored([] if look_at_ms is None else [("0", float(look_at_ms))])
    yield from _flow_control(task, now_ms)
    yield from _parking(task)


def _worker_keys(task: TaskStore, ends_at_ms: float) -> Named:
    beats = sorted(((name, float(worker.beat_ms)) for name, worker in task.workers.items()), key=_by_score)
    yield task.prefix + "workers:beats", Stored(beats, ends_at_ms)
    about = {name: encode_worker(worker) for name, worker in task.workers.items()}
    yield task.prefix + "workers:about", Stored(about, ends_at_ms)


def _flow_control(task: TaskStore, now_ms: int) -> Named:
    for name, kept in task.values._stored.items():
        if now_ms < kept.ends_at_ms:
            value = kept.value.encode()
            remains = {"state": b"expired", "finishedOn": value} if name.startswith("gone:") else value
            yield name, Stored(remains, None if kept.ends_at_ms == float("inf") else kept.ends_at_ms)
    for schedule, (runs, ends_at_ms) in task.runs._runs.items():
        if now_ms < ends_at_ms:
            yield f"occurrences:{schedule}:ids", Stored([*runs], ends_at_ms)
    for schedule, until_ms in task.runs._withdrawn:
        if now_ms <= until_ms:
            yield f"occurrences:{schedule}:withdrawn:{until_ms}", Stored(b"1", until_ms + 1)
    for key, starts in task.starts._by_key.items():
        if now_ms < starts.ends_at_ms:
            yield f"rate:{key}", _scores(starts.ids, starts.ends_at_ms)
    for key, batch in task.batches.items():
        facts = {"count": len(batch.items), "firstAt": batch.first_ms, "lastAt": batch.last_ms}
        yield f"collect:{key}:items", Stored([*batch.items])
        yield f"collect:{key}:meta", Stored({name: str(number).encode() for name, number in facts.items()})


def _parking(task: TaskStore) -> Named:
    parking = task.parking
    yield from ((f"conc:{key}", Stored(str(count).encode())) for key, count in parking.held.items())
    yield "parked:freed", Stored([*parking.freed][::-1])
    yield "parked:newer", _scores(parking.newer)
    yield "parked:keys", _scores(parking.keys)
    yield "parked:count", Stored(str(len(parking)).encode() if len(parking) else b"")
    yield from ((PARKED_FOR + key, Stored([*parking.jobs_of(key)])) for key in parking.keys)


def _scores(ids: SortedIds, ends_at_ms: float | None = None) -> Stored:
    return Stored(sorted(((job_id, score) for job_id, score in ids._scores.items()), key=_by_score), ends_at_ms)


def _by_score(pair: tuple[str, float]) -> tuple[float, bytes]:
    return pair[1], pair[0].encode()


def _bytes(part: bytes | str | int) -> bytes:
    return part if isinstance(part, bytes) else str(part).encode()
