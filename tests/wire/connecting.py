"""What tests of connections share: operations, and a look at connections from the server."""

import contextlib
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from taskora.wire import CountJobs, Enqueue, Keyspace, NewJob
from taskora.wire.backends._async_connections import AsyncConnections
from taskora.wire.backends._connection import AsyncConnection
from taskora.wire.backends._connection_factory import async_factory
from taskora.wire.backends._redis import RedisBackend

COUNT = CountJobs(task="t")
LONG_MS = 30_000
SOON_S = 10.0


def enqueue(job_id: str) -> Enqueue:
    return Enqueue(task="t", version=1, max_attempts=1, jobs=[NewJob(job_id=job_id, data=b"1")])


class Others:
    """The connections of everybody but ourselves, seen from the server."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client
        self._own = str(self._client.client_id())

    def all(self) -> list[dict[str, str]]:
        return [row for row in self._client.client_list() if row["id"] != self._own]

    def busy_with(self, command: str) -> list[str]:
        """Ids of connections that wait for the reply to `command`."""
        return [row["id"] for row in self.all() if row["cmd"] == command and "b" in row["flags"]]

    def kill(self) -> None:
        for row in self.all():
            with contextlib.suppress(redis.ResponseError):
                self._client.execute_command("CLIENT", "KILL", "ID", row["id"])


@dataclass
class CountedConnections:
    """Makes connections to a port of this machine; none is used twice unless it works."""

    port: int
    made: int = 0

    def __call__(self) -> AsyncConnection:
        self.made += 1
        return async_factory({"host": "127.0.0.1", "port": self.port})()

    def backend(self) -> RedisBackend:
        return RedisBackend(
            AsyncConnections(self), lambda: pytest.fail("nobody asked for threads"), keyspace=Keyspace()
        )
