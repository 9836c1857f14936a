"""The server of all of these tests."""

import pytest

from tests.fixtures import StartServer
from tests.servers import Server


@pytest.fixture
def server(start_server: StartServer) -> Server:
    """One kind of server is enough: what dies here is something else."""
    server = start_server("valkey9")
    with server.client() as client:
        client.flushall()
    return server
