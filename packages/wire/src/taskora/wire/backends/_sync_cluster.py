"""Redis Cluster, for threads."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from taskora.wire._backend import Clock
from taskora.wire._events import StreamEvent
from taskora.wire._flows import Pause, drive
from taskora.wire._keys import Keyspace
from taskora.wire._operations import Operation
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends import _requests
from taskora.wire.backends._address import Address
from taskora.wire.backends._cluster_map import (
    Learn,
    ScanRequest,
    SlotMap,
    ToNode,
    cluster_request_of,
    learned,
    refreshed,
    routed,
)
from taskora.wire.backends._redis_sync import SyncRedisBackend
from taskora.wire.backends._requests import Request
from taskora.wire.backends._sync_connections import SyncPool, exchange

# How long a thread that reads several streams blocks on each in turn.
_TURN_MS: Final = 20


class SyncRedisClusterBackend(SyncRedisBackend):
    """The synchronous twin of `RedisClusterBackend`."""

    def __init__(self, cluster: "SyncCluster", *, keyspace: Keyspace, clock: Clock | None) -> None:
        super().__init__(cluster.connect_nowhere, keyspace=keyspace, clock=clock)
        self._connections = self._cluster = cluster
        self._requests = _requests.Requests(keyspace, clock, cluster_request_of)

    def _perform(self, step: "Request | Pause | Operation[Any] | ToNode | Learn") -> Any:
        return self._cluster.perform(step) if isinstance(step, ToNode | Learn) else super()._perform(step)

    def read_events(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Reads events; see `SyncBackend.read_events`. Several streams are read in turn."""
        if len(positions) == 1:
            return super().read_events(positions, block_ms=block_ms, limit=limit)
        deadline = time.monotonic() + block_ms / 1000
        turn_ms = 1
        while True:
            events: list[StreamEvent] = []
            for task, position in positions.items():
                events += super().read_events({task: position}, block_ms=turn_ms, limit=limit)
            left_ms = (deadline - time.monotonic()) * 1000
            if events or left_ms <= 0:
                return events
            turn_ms = max(1, min(_TURN_MS, int(left_ms)))
            if not positions:
                time.sleep(left_ms / 1000)


class SyncCluster:
    """The connections to all servers of a cluster; finds the one that a request is for."""

    def __init__(self, slots: SlotMap, make_for: Callable[[Address], Callable[[], Any]]) -> None:
        self.slots: Final = slots
        self._make_for: Final = make_for
        self._pools: Final[dict[Address, SyncPool]] = {}
        self._closed = False

    def request(self, request: Request) -> Any:
        """One command and its reply."""
        return drive(routed(request, self.slots), self.perform)

    def request_all(self, requests: Sequence[Request]) -> list[Any]:
        """Several commands, to one server after the other; see `SyncConnections.request_all`."""
        replies: dict[int, Any] = {}
        for address, places in self._placed(requests).items():
            answers = self._pool(address).request_all([requests[place] for place in places])
            for place, answer in zip(places, answers, strict=True):
                if isinstance(answer, redis_errors.AskError):  # or moved: the slot is elsewhere
                    answer = self._attempt(requests[place])
                elif isinstance(answer, Exception):
                    self.slots.note_failure(answer, address)
                replies[place] = answer
        return [
            replies[place] if place in replies else self._attempt(request) for place, request in enumerate(requests)
        ]

    def _placed(self, requests: Sequence[Request]) -> dict[Address, list[int]]:
        """Which requests are for which server, as far as that is known."""
        placed: dict[Address, list[int]] = {}
        with suppress(*_requests.FAILURES):
            drive(refreshed(self.slots), self.perform)
            for place, request in enumerate(requests):
                if not isinstance(request, ScanRequest):
                    placed.setdefault(self.slots.owner(request.key), []).append(place)
        return placed

    def _attempt(self, request: Request) -> Any:
        try:
            return self.request(request)
        except _requests.FAILURES as error:
            return error

    def perform(self, step: ToNode | Learn) -> Any:
        """One command, to a certain server, or a question to all."""
        if isinstance(step, Learn):
            return self._learn() if self.slots.lacks(step) else None
        with self._pool(step.address).borrow() as connection:
            if step.asking:
                exchange(connection, Request(("ASKING",)))
            return exchange(connection, step.request)

    def _pool(self, address: Address) -> SyncPool:
        if self._closed:
            raise _requests.closed()
        pool = self._pools.get(address)
        if pool is None:  # another thread may be faster
            pool = self._pools.setdefault(address, SyncPool(self._make_for(address)))
        return pool

    def _learn(self) -> None:
        """Threads that want it at the same time ask one by one: a lock would be held for ever in a forked child."""
        drive(learned(self.slots), self.perform)
        for address in self._pools.keys() - set(self.slots.primaries):
            pool = self._pools.pop(address, None)
            if pool is not None:
                pool.leave()

    def close(self) -> None:
        """Closes all idle connections; those in use are closed when their command ends."""
        self._closed = True
        for pool in tuple(self._pools.values()):
            pool.close()

    def connect_nowhere(self) -> Any:
        """A connection to no server in particular does not exist."""
        raise AssertionError("a connection needs a server")
