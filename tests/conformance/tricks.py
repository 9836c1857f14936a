"""How the suite reaches into the storages of this repository."""

from collections.abc import Mapping
from typing import Any

import redis

from taskora.testing.conformance import FlowFacts, Tricks
from taskora.wire import FINAL_STATES, Keyspace
from taskora.wire.backends import MemoryBackend
from tests.conformance.lifetimes import ServerLifetimes, every_key

STRUCTURES = {"wait", "prioritized", "active", "delayed", "stalled", "marker", "events", *FINAL_STATES}
VALUES = ("debounce:", "throttle:", "dedup:", "collect:", "sent:", "conc:")


class MemoryTricks(Tricks):
    """Reaches into a memory backend."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._store = backend._store

    def lose_lease(self, task: str, job_id: str) -> None:
        self._store.task(task).leases.pop(job_id, None)

    def lose_record(self, task: str, job_id: str) -> None:
        self._store.task(task).jobs.pop(job_id, None)

    def damage_record(self, task: str, job_id: str, fields: Mapping[str, bytes]) -> None:
        self._store.task(task).jobs[job_id].update(fields)

    def lock_for_migration(self, text: bytes) -> None:
        self._store.migration_lock = text

    def lease_of(self, task: str, job_id: str) -> str | None:
        lease = self._store.task(task).leases.get(job_id)
        return None if lease is None else lease.token

    def ids_by_place(self, task: str) -> dict[str, list[str]]:
        found = self._store.task(task)
        return {
            "wait": [*found.waiting],
            "prioritized": [*found.prioritized],
            "freed": [*found.parking.freed],
            "parked": [*found.parking],
            "active": [*found.active],
            "delayed": [*found.delayed],
            **{state.value: [*ids] for state, ids in found.finished.items()},
        }

    def stall_candidates(self, task: str) -> set[str]:
        return set(self._store.task(task).stalled)

    def marker(self, task: str) -> int | None:
        return self._store.task(task).marker._look_at_ms

    def flow(self, task: str) -> FlowFacts:
        found = self._store.task(task)
        now_ms = self._store.clock.now_ms()
        kept = {name: found.values.get(name, now_ms) for name in found.values._stored if name.startswith(VALUES)}
        held = {f"conc:{key}": str(count) for key, count in found.parking.held.items()}
        return {
            "values": {name: value for name, value in (kept | held).items() if value is not None},
            "newer": [*found.parking.newer],
            "keys": {key: int(found.parking.keys.score(key) or 0) for key in found.parking.keys},
            "items": {key: batch.items for key, batch in found.batches.items()},
            "records": sorted(found.jobs),
        }

    def time_passes(self, before_ms: int, milliseconds: int) -> None:
        """Memory lives by the clock that is moved."""

    def leave_slot(self, task: str, concurrency_key: str) -> None:
        held = self._store.task(task).parking.held
        held[concurrency_key] -= 1
        if not held[concurrency_key]:
            del held[concurrency_key]

    def hold_slot(self, task: str, concurrency_key: str) -> None:
        held = self._store.task(task).parking.held
        held[concurrency_key] = held.get(concurrency_key, 0) + 1

    def cancel_as_others_do(self, task: str, job_id: str) -> None:
        self._store.task(task).jobs[job_id]["state"] = b"cancelled"


class RedisTricks(Tricks):
    """Sends plain commands to the server."""

    def __init__(self, client: redis.Redis | redis.RedisCluster, keyspace: Keyspace) -> None:
        self._client = client
        self._keyspace = keyspace
        self._lifetimes = ServerLifetimes(client)

    def lose_lease(self, task: str, job_id: str) -> None:
        self._client.delete(self._keyspace.task(task).lock_key(job_id))

    def lose_record(self, task: str, job_id: str) -> None:
        self._client.delete(self._keyspace.task(task).job_key(job_id))

    def damage_record(self, task: str, job_id: str, fields: Mapping[str, bytes]) -> None:
        client: Any = self._client
        client.hset(self._keyspace.task(task).job_key(job_id), mapping=dict(fields))

    def lock_for_migration(self, text: bytes) -> None:
        self._client.set(self._keyspace.migration_lock_key, text)

    def lease_of(self, task: str, job_id: str) -> str | None:
        token = self._client.get(self._keyspace.task(task).lock_key(job_id))
        return token.decode() if isinstance(token, bytes) else None

    def ids_by_place(self, task: str) -> dict[str, list[str]]:
        keys = self._keyspace.task(task)
        places: dict[str, Any] = {
            "wait": self._list(keys.wait_key)[::-1],
            "prioritized": self._client.zrange(keys.prioritized_key, 0, -1),
            "freed": self._list(keys.prefix + "parked:freed")[::-1],
            "parked": self._parked(keys.prefix),
            "active": self._list(keys.active_key)[::-1],
            "delayed": self._client.zrange(keys.delayed_key, 0, -1),
        }
        for state in FINAL_STATES:
            places[state.value] = self._client.zrange(keys.finished_key(state), 0, -1)
        return {place: [job_id.decode() for job_id in ids] for place, ids in places.items()}

    def stall_candidates(self, task: str) -> set[str]:
        members: Any = self._client.smembers(self._keyspace.task(task).stalled_key)
        return {job_id.decode() for job_id in members}

    def marker(self, task: str) -> int | None:
        score: Any = self._client.zscore(self._keyspace.task(task).marker_key, "0")
        return None if score is None else int(score)

    def _list(self, key: str) -> list[bytes]:
        found: Any = self._client.lrange(key, 0, -1)
        return list(found)

    def _parked(self, prefix: str) -> list[bytes]:
        keys: Any = self._client.zrange(prefix + "parked:keys", 0, -1)
        ids: list[Any] = [self._client.zrange(f"{prefix}parked:key:{key.decode()}", 0, -1) for key in keys]
        return [job_id for of_key in ids for job_id in of_key]

    def flow(self, task: str) -> FlowFacts:
        prefix = self._keyspace.task(task).prefix
        found: Any = every_key(self._client)
        names = [key.decode().removeprefix(prefix) for key in found]
        values = [name for name in names if name.startswith(VALUES) and not name.endswith((":items", ":meta"))]
        items = [name for name in names if name.endswith(":items")]
        pipeline: Any = self._client.pipeline(transaction=False)
        for name in values:
            pipeline.get(prefix + name)
        for name in items:
            pipeline.lrange(prefix + name, 0, -1)
        pipeline.zrange(prefix + "parked:newer", 0, -1)
        pipeline.zrange(prefix + "parked:keys", 0, -1, withscores=True)
        *replies, newer, keys = pipeline.execute()
        return {
            "values": {name: value.decode() for name, value in zip(values, replies, strict=False)},
            "newer": [job_id.decode() for job_id in newer],
            "keys": {key.decode(): int(score) for key, score in keys},
            "items": {
                name.removeprefix("collect:").removesuffix(":items"): of
                for name, of in zip(items, replies[len(values) :], strict=True)
            },
            "records": sorted(name for name in names if ":" not in name and name not in STRUCTURES),
        }

    def time_passes(self, before_ms: int, milliseconds: int) -> None:
        self._lifetimes.pass_time(before_ms, milliseconds)

    def leave_slot(self, task: str, concurrency_key: str) -> None:
        counter = f"{self._keyspace.task(task).prefix}conc:{concurrency_key}"
        left: Any = self._client.decr(counter)
        if left <= 0:
            self._client.delete(counter)

    def hold_slot(self, task: str, concurrency_key: str) -> None:
        self._client.incr(f"{self._keyspace.task(task).prefix}conc:{concurrency_key}")

    def cancel_as_others_do(self, task: str, job_id: str) -> None:
        self._client.hset(self._keyspace.task(task).job_key(job_id), "state", "cancelled")
