"""What a run costs the server."""

from dataclasses import dataclass
from typing import Any, Self, cast

import redis


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSample:
    """Counters of the server at one instant."""

    memory_bytes: int
    script_us: int

    def __sub__(self, earlier: Self) -> "ServerSample":
        return ServerSample(
            memory_bytes=self.memory_bytes - earlier.memory_bytes, script_us=self.script_us - earlier.script_us
        )


class ServerProbe:
    """Reads counters over a connection of its own."""

    def __init__(self, url: str) -> None:
        self._client: redis.Redis = redis.Redis.from_url(url)

    def sample(self) -> ServerSample:
        """The counters now. Script time is that of EVALSHA and EVAL together."""
        untyped: Any = self._client
        memory = cast("dict[str, int]", untyped.info("memory"))
        commands = cast("dict[str, dict[str, int]]", untyped.info("commandstats"))
        scripts = (commands.get(f"cmdstat_{name}", {}).get("usec", 0) for name in ("evalsha", "eval"))
        return ServerSample(memory_bytes=memory["used_memory"], script_us=sum(scripts))
