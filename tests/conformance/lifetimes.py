"""Lifetimes of keys on a real server, by a clock that tests move.

A server counts lifetimes in real time. As long as a test takes much less than a minute, and all lifetimes are whole
minutes, what is left of one tells which it was; it is then replaced by one that cannot end, and the key is deleted when
the clock says so.
"""

import math
from typing import Any, Final

import redis

from taskora.testing.conformance import MINUTE_MS

_ENDLESS_MS: Final = 10**14


def every_key(client: redis.Redis | redis.RedisCluster) -> list[bytes]:
    """The keys of a server, or of all servers of a cluster."""
    untyped: Any = client
    on_all = {"target_nodes": redis.RedisCluster.PRIMARIES} if isinstance(client, redis.RedisCluster) else {}
    found: list[bytes] = untyped.keys("*", **on_all)
    return found


class ServerLifetimes:
    """Knows when, by the clock of the test, keys end."""

    def __init__(self, client: redis.Redis | redis.RedisCluster) -> None:
        self._client: Any = client
        self._ends: dict[bytes, int] = {}

    def pass_time(self, before_ms: int, milliseconds: int) -> None:
        """Deletes what is over when the clock moves on from `before_ms`."""
        keys: list[bytes] = every_key(self._client)
        lefts = self._ask([("PTTL", key) for key in keys])
        ended: list[tuple[Any, ...]] = []
        for key, left_ms in zip(keys, lefts, strict=True):
            if left_ms < 0:
                self._ends.pop(key, None)
                continue
            if left_ms < _ENDLESS_MS // 2:  # set since the clock last moved
                self._ends[key] = before_ms + math.ceil(left_ms / MINUTE_MS) * MINUTE_MS
                ended.append(("PEXPIRE", key, _ENDLESS_MS))
            if self._ends[key] <= before_ms + milliseconds:
                ended.append(("DEL", key))
                del self._ends[key]
        self._ask(ended)

    def _ask(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        pipeline: Any = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = pipeline.execute() if commands else []
        return replies
