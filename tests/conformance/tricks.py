"""What tests do to a storage behind the back of its backend: loss, damage, and the work of other programs."""

from collections.abc import Sequence
from typing import Any, Protocol

import redis

from taskora.wire import FINAL_STATES, Keyspace
from taskora.wire.backends import MemoryBackend


class Tricks(Protocol):
    """Interventions that no operation offers."""

    def lose_lease(self, task: str, job_id: str) -> None:
        """Ends a lease now, as if its worker had died long ago."""
        ...

    def lose_record(self, task: str, job_id: str) -> None:
        """Deletes the record of a job and leaves its id where it stands."""
        ...

    def lock_for_migration(self, text: bytes) -> None:
        """Says that somebody rewrites the keyspace."""
        ...

    def leases_of(self, task: str, job_ids: Sequence[str]) -> list[str | None]:
        """The tokens that fence jobs now."""
        ...

    def ids_by_place(self, task: str) -> dict[str, list[str]]:
        """Every structure that holds a job at a time, and the ids in it in order."""
        ...

    def stall_candidates(self, task: str) -> set[str]:
        """Whom the next sweep will look at."""
        ...

    def marker(self, task: str) -> int | None:
        """What the wake-up token says, if there is one."""
        ...


class MemoryTricks:
    """Reaches into a memory backend."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._store = backend._store

    def lose_lease(self, task: str, job_id: str) -> None:
        self._store.task(task).leases.pop(job_id, None)

    def lose_record(self, task: str, job_id: str) -> None:
        self._store.task(task).jobs.pop(job_id, None)

    def lock_for_migration(self, text: bytes) -> None:
        self._store.migration_lock = text

    def leases_of(self, task: str, job_ids: Sequence[str]) -> list[str | None]:
        leases = [self._store.task(task).leases.get(job_id) for job_id in job_ids]
        return [None if lease is None else lease.token for lease in leases]

    def ids_by_place(self, task: str) -> dict[str, list[str]]:
        found = self._store.task(task)
        return {
            "wait": [*found.waiting],
            "prioritized": [*found.prioritized],
            "active": [*found.active],
            "delayed": [*found.delayed],
            **{state.value: [*ids] for state, ids in found.finished.items()},
        }

    def stall_candidates(self, task: str) -> set[str]:
        return set(self._store.task(task).stalled)

    def marker(self, task: str) -> int | None:
        return self._store.task(task).marker._look_at_ms


class RedisTricks:
    """Sends plain commands to the server."""

    def __init__(self, client: redis.Redis, keyspace: Keyspace) -> None:
        self._client = client
        self._keyspace = keyspace

    def lose_lease(self, task: str, job_id: str) -> None:
        self._client.delete(self._keyspace.task(task).lock_key(job_id))

    def lose_record(self, task: str, job_id: str) -> None:
        self._client.delete(self._keyspace.task(task).job_key(job_id))

    def lock_for_migration(self, text: bytes) -> None:
        self._client.set(self._keyspace.migration_lock_key, text)

    def leases_of(self, task: str, job_ids: Sequence[str]) -> list[str | None]:
        keys = self._keyspace.task(task)
        tokens: Any = self._client.mget([keys.lock_key(job_id) for job_id in job_ids])
        return [None if token is None else token.decode() for token in tokens]

    def ids_by_place(self, task: str) -> dict[str, list[str]]:
        keys = self._keyspace.task(task)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.lrange(keys.wait_key, 0, -1)
        pipeline.lrange(keys.active_key, 0, -1)
        pipeline.zrange(keys.prioritized_key, 0, -1)
        pipeline.zrange(keys.delayed_key, 0, -1)
        for state in FINAL_STATES:
            pipeline.zrange(keys.finished_key(state), 0, -1)
        found: list[list[bytes]] = pipeline.execute()
        lists = [ids[::-1] for ids in found[:2]]  # pushed left, popped right
        names = ["wait", "active", "prioritized", "delayed", *(state.value for state in FINAL_STATES)]
        places = zip(names, [*lists, *found[2:]], strict=True)
        return {name: [job_id.decode() for job_id in ids] for name, ids in places}

    def stall_candidates(self, task: str) -> set[str]:
        members: Any = self._client.smembers(self._keyspace.task(task).stalled_key)
        return {job_id.decode() for job_id in members}

    def marker(self, task: str) -> int | None:
        score: Any = self._client.zscore(self._keyspace.task(task).marker_key, "0")
        return None if score is None else int(score)
