"""What a run costs the server."""

from dataclasses import dataclass
from typing import Any, Final, Self, cast

import redis

_SCRIPTS: Final = ("evalsha", "eval")
# What scripts call and clients do not; waiting for work is left out.
_USED_BY_SCRIPTS: Final = frozenset(
    (
        *("del", "exists", "expire", "pexpire", "time", "get", "set", "incr", "decr", "incrby"),
        *(
            "hexists",
            "hget",
            "hset",
            "hsetnx",
            "hmget",
            "hdel",
            "hgetall",
            "hincrby",
            "lindex",
            "llen",
            "lpush",
            "rpush",
            "rpop",
            "lrange",
            "lrem",
            "lpos",
            "ltrim",
            "mget",
        ),
        *("sadd", "srem", "smismember", "xadd", "zadd", "zcard", "zcount", "zpopmin", "zrange", "zrem", "zscore"),
        *("zremrangebyrank", "zremrangebyscore"),
    )
)
# What workers send. Tokens that are put back are no script's either, and too few to be told apart.
_SENT_BY_WORKERS: Final = frozenset(
    (*_SCRIPTS, "bzpopmin", "client|id", "client|unblock", "ping", "xread", "subscribe", "publish")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSample:
    """Counters of the server at one instant."""

    memory_bytes: int
    cpu_us: float
    script_us: int
    script_commands: int
    requests: int

    def __sub__(self, earlier: Self) -> "ServerSample":
        return ServerSample(
            memory_bytes=self.memory_bytes - earlier.memory_bytes,
            cpu_us=self.cpu_us - earlier.cpu_us,
            script_us=self.script_us - earlier.script_us,
            script_commands=self.script_commands - earlier.script_commands,
            requests=self.requests - earlier.requests,
        )


class ServerProbe:
    """Reads counters over a connection of its own."""

    def __init__(self, url: str) -> None:
        self._client: redis.Redis = redis.Redis.from_url(url)

    def sample(self) -> ServerSample:
        """The counters now.

        CPU time is that of the whole server, script time that of EVALSHA and EVAL together. Commands are those inside
        scripts, requests those of workers.
        """
        untyped: Any = self._client
        memory = cast("dict[str, int]", untyped.info("memory"))
        cpu = cast("dict[str, float]", untyped.info("cpu"))
        commands = cast("dict[str, dict[str, int]]", untyped.info("commandstats"))
        rows = {name.removeprefix("cmdstat_"): row for name, row in commands.items()}
        return ServerSample(
            memory_bytes=memory["used_memory"],
            cpu_us=(cpu["used_cpu_user"] + cpu["used_cpu_sys"]) * 1e6,
            script_us=sum(rows[name]["usec"] for name in _SCRIPTS if name in rows),
            script_commands=sum(row["calls"] for name, row in rows.items() if name in _USED_BY_SCRIPTS),
            requests=sum(row["calls"] for name, row in rows.items() if name in _SENT_BY_WORKERS),
        )

    def connections(self) -> int:
        """How many programs' connections the server has, this one among them."""
        untyped: Any = self._client
        return int(untyped.info("clients")["connected_clients"])
