"""What the tests of the producer share: storages, both surfaces under one name, and somebody who plays the worker."""

import asyncio
import itertools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from taskora.contracts import define_task
from taskora.producer import AsyncProducer, Producer
from taskora.wire import Claim, Exchange, OnExpire, Outcome, OutcomeKind, Report, ReportEntry, ScanTasks, SyncBackend
from taskora.wire.backends import open_sync_backend
from tests.polling import eventually
from tests.servers import Server

LEASE_MS = 30_000


@dataclass
class Order:
    """A payload."""

    item: str
    count: int = 1


@dataclass
class Receipt:
    """A result."""

    total: int


MANY: Any = "many"  # where a number belongs

orders = define_task("orders", input=Order, output=Receipt)
anything = define_task("anything", input=object)


@dataclass
class Storage:
    """A storage of one kind, empty when the test begins. `server` is None for this process's memory."""

    url: str
    server: Server | None

    @property
    def is_redis(self) -> bool:
        return self.server is not None

    def raw(self) -> redis.Redis:
        assert self.server is not None
        return self.server.client()

    def keys(self) -> set[str]:
        """Every key but the one that the handshake writes; in memory, the tasks that ever had a job."""
        if self.server is None:
            backend = open_sync_backend(self.url)
            tasks = set(backend.run(ScanTasks()).tasks)
            backend.close()
            return tasks
        with self.raw() as raw:
            found: Any = raw.keys("*")
            return {key.decode() for key in found} - {"taskora:meta"}


class Player:
    """Plays the worker, one raw operation at a time."""

    def __init__(self, backend: SyncBackend) -> None:
        self.backend = backend
        self._tokens = itertools.count(1)

    def claim(self, task: str = "orders", *, slots: int = 1, on_expire: OnExpire = "fail") -> tuple[Claim, ...]:
        return self._exchange(task, slots=slots, on_expire=on_expire)

    def settle(
        self, claim: Claim, kind: OutcomeKind, payload: bytes = b"", *, task: str = "orders", delay_ms: int = 0
    ) -> None:
        outcome = Outcome(kind=kind, job_id=claim.job_id, token=claim.token, payload=payload, delay_ms=delay_ms)
        self._exchange(task, outcomes=(outcome,))

    def complete(self, result: bytes = b'{"total":7}', *, task: str = "orders") -> str:
        return self._run(OutcomeKind.COMPLETED, result, task)

    def fail(self, error: bytes = b"boom", *, task: str = "orders") -> str:
        return self._run(OutcomeKind.FAILED, error, task)

    def retry(self, error: bytes = b"boom", *, task: str = "orders") -> str:
        return self._run(OutcomeKind.RETRYING, error, task)

    def report(self, claim: Claim, *entries: tuple[Any, bytes], task: str = "orders") -> None:
        wrapped = [
            ReportEntry(kind=kind, job_id=claim.job_id, token=claim.token, payload=payload) for kind, payload in entries
        ]
        assert all(self.backend.run(Report(task=task, entries=wrapped)))

    def _run(self, kind: OutcomeKind, payload: bytes, task: str) -> str:
        (claim,) = self.claim(task)
        self.settle(claim, kind, payload, task=task)
        return claim.job_id

    def _exchange(
        self, task: str, *, slots: int = 0, outcomes: tuple[Outcome, ...] = (), on_expire: OnExpire = "fail"
    ) -> tuple[Claim, ...]:
        token = f"token-{next(self._tokens)}"
        exchange = Exchange(
            task=task, token=token, lease_ms=LEASE_MS, slots=slots, outcomes=outcomes, on_expire=on_expire
        )
        return self.backend.run(exchange).claims


@dataclass
class Surface:
    """One of the two producers. `do` finishes what a method returned: a value as it is, a coroutine in a loop."""

    name: str
    make: Callable[..., Any]
    do: Callable[[Any], Any]

    @contextmanager
    def producer(self, target: Any, **options: Any) -> Generator[Any]:
        producer = self.make(target, **options)
        try:
            yield producer
        finally:
            self.do(producer.close())

    def take(self, events: Any, count: int) -> list[Any]:
        """The next events of a stream."""
        if self.name == "sync":
            iterator = iter(events)
            taken = [next(iterator) for _ in range(count)]
            iterator.close()
            return taken
        return list(self.do(_take(events, count)))


async def _take(events: Any, count: int) -> list[Any]:
    iterator = aiter(events)
    taken = [await anext(iterator) for _ in range(count)]
    await iterator.aclose()
    return taken


@contextmanager
def surface(name: str) -> Generator[Surface]:
    """The surface of that name."""
    if name == "sync":
        yield Surface(name, Producer, lambda value: value)
        return
    with asyncio.Runner() as runner:

        async def finish(awaitable: Any) -> Any:
            return await awaitable

        yield Surface(name, AsyncProducer, lambda awaitable: runner.run(finish(awaitable)))


def wait_until_blocked(raw: redis.Redis, count: int = 1) -> list[dict[str, Any]]:
    """The clients that block on a stream, once there are `count` of them."""

    def blocked() -> list[dict[str, Any]]:
        clients: Any = raw.client_list()
        found = [client for client in clients if client["cmd"].startswith("xread") and "b" in client["flags"]]
        return found if len(found) >= count else []

    return eventually(blocked)
