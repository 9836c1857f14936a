"""A master, its replica, and sentinels that watch them: real processes on free ports."""

import contextlib
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import redis

from taskora.wire.backends._keeper import Keeper
from tests.polling import eventually
from tests.servers import Server, find_binary, free_port, running

SERVICE: Final = "shop"
SENTINELS: Final = 3
_QUORUM: Final = 2
# Long enough for a busy machine not to look dead, short enough for a test.
_DOWN_AFTER_MS: Final = 1500
_PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Two servers, of which one is the master, and the ports of the sentinels that know which."""

    servers: tuple[Server, ...]
    ports: tuple[int, ...]
    password: str = ""
    sentinel_password: str = ""

    @property
    def url(self) -> str:
        """Names all sentinels."""
        return self.url_of(*self.ports)

    def url_of(self, *ports: int) -> str:
        """Names these sentinels."""
        credentials = f":{quote(self.password, safe='')}@" if self.password else ""
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        option = f"?sentinel_password={quote(self.sentinel_password, safe='')}" if self.sentinel_password else ""
        return f"redis+sentinel://{credentials}{hosts}/{SERVICE}/0{option}"

    def with_options(self, **options: object) -> str:
        """The URL with more options."""
        mark = "&" if self.sentinel_password else "?"
        return self.url + mark + "&".join(f"{name}={value}" for name, value in options.items())

    def master(self) -> Server:
        """The server that all sentinels call the master."""
        (port,) = {self._named_by(port) for port in self.ports}
        return next(server for server in self.servers if server.port == port)

    def replica(self) -> Server:
        """The other one."""
        master = self.master()
        return next(server for server in self.servers if server != master)

    def client(self, server: Server) -> redis.Redis:
        """Return a raw client of one of the servers; replies are bytes."""
        return server.client(password=self.password or None)

    def fail_over(self) -> None:
        """Makes the replica the master, and waits until all sentinels say so."""
        before = self.master()
        eventually(self._begin_failover, _PATIENCE_S)
        self.await_other_master(before)

    def _begin_failover(self) -> bool:
        """Whether it has begun; not while the servers still change roles after the last one."""
        with contextlib.suppress(redis.ResponseError), self._sentinel(self.ports[0]) as sentinel:
            untyped: Any = sentinel
            untyped.execute_command("SENTINEL", "FAILOVER", SERVICE)
            return True
        return False

    def await_other_master(self, before: Server) -> None:
        """Waits until all sentinels name another master, and it takes writes."""
        eventually(lambda: before.port not in {self._named_by(port) for port in self.ports}, _PATIENCE_S)
        with self.client(self.master()) as client:
            untyped: Any = client
            eventually(lambda: untyped.execute_command("ROLE")[0] == b"master", _PATIENCE_S)

    def await_replica(self) -> Server:
        """The other one, once it knows that it is one: after a failover, sentinels tell it eight seconds later."""
        replica = self.replica()
        with self.client(replica) as client:
            untyped: Any = client
            eventually(lambda: untyped.execute_command("ROLE")[0] == b"slave", _PATIENCE_S)
        return replica

    def _named_by(self, port: int) -> int:
        with self._sentinel(port) as sentinel:
            untyped: Any = sentinel
            return int(untyped.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def _sentinel(self, port: int) -> redis.Redis:
        return redis.Redis(host="127.0.0.1", port=port, password=self.sentinel_password or None, protocol=3)


@contextlib.contextmanager
def watched(kind: str, *, password: str = "", sentinel_password: str = "") -> Generator[Watched]:
    """Run a master, a replica and three sentinels of `kind`.

    Raises:
        ServerMissingError: this machine has no such server.
    """
    with contextlib.ExitStack() as stack:
        secret = ("--requirepass", password, "--masterauth", password) if password else ()
        common = ("--repl-diskless-sync-delay", "0", *secret)
        master = stack.enter_context(running(kind, *common, password=password))
        follow = ("--replicaof", "127.0.0.1", str(master.port))
        replica = stack.enter_context(running(kind, *common, *follow, password=password))
        ports = tuple(
            stack.enter_context(_sentinel(kind, master, password, sentinel_password)) for _ in range(SENTINELS)
        )
        found = Watched(servers=(master, replica), ports=ports, password=password, sentinel_password=sentinel_password)
        for port in ports:
            eventually(partial(_knows_all, found, port), _PATIENCE_S)
        yield found


def _knows_all(found: Watched, port: int) -> bool:
    """Whether a sentinel knows the replica and the other sentinels, as a failover needs it."""
    with contextlib.suppress(redis.RedisError, OSError), found._sentinel(port) as client:
        untyped: Any = client
        facts: dict[bytes, bytes] = untyped.execute_command("SENTINEL", "MASTERS")[0]
        return (facts[b"num-slaves"], facts[b"num-other-sentinels"]) == (b"1", b"%d" % (SENTINELS - 1))
    return False


@contextlib.contextmanager
def _sentinel(kind: str, master: Server, password: str, sentinel_password: str) -> Generator[int]:
    with tempfile.TemporaryDirectory(prefix="taskora-", ignore_cleanup_errors=True) as name:
        port, directory = free_port(), Path(name)
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            f'dir "{directory}"',
            f"sentinel monitor {SERVICE} 127.0.0.1 {master.port} {_QUORUM}",
            f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 5000",
        ]
        lines += [f"sentinel auth-pass {SERVICE} {password}"] if password else []
        lines += [f"requirepass {sentinel_password}"] if sentinel_password else []
        settings = directory / "sentinel.conf"
        settings.write_text("\n".join(lines) + "\n")
        keeper = Keeper([find_binary(kind), str(settings), "--sentinel"], log=directory / "log", ending="KILL")
        try:
            yield port
        finally:
            keeper.end()
