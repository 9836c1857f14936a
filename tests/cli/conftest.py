"""Fixtures for tests of the command."""

from pathlib import Path

import pytest

from tests.cli.programs import Command, write_module
from tests.fixtures import StartServer
from tests.servers import Server

SHOP = [
    "import os",
    "from taskora.worker import Worker",
    "worker = Worker(os.environ['TASKORA_URL'])",
    "@worker.task('shop.add', concurrency=4)",
    "def add(numbers: list[int]) -> int:",
    "    return sum(numbers)",
]


@pytest.fixture
def command(server: Server, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run commands on an empty server of each kind."""
    return Command(capsys, server.url)


@pytest.fixture
def valkey(start_server: StartServer) -> Server:
    """Return an empty server, for tests of processes: they do not depend on its kind."""
    server = start_server("valkey9")
    with server.client() as client:
        client.flushall()
    return server


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a folder with a module `shop` that holds a worker."""
    write_module(tmp_path, "shop", SHOP)
    return tmp_path
