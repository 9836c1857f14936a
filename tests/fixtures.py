"""Fixtures shared by the tests of every package: real servers, emptied before each test."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
import redis

from tests import servers
from tests.sentinels import Watched, watched
from tests.servers import SERVER_KINDS, Cluster, Server, ServerMissingError
from tests.tls import Certificates, OpensslMissingError, make_certificates, tls_front

StartServer = Callable[[str], Server]


@pytest.fixture(scope="session")
def start_server() -> Iterator[StartServer]:
    """Return the one server of a kind for this test process, started when first asked for."""
    started: dict[str, Server] = {}
    with contextlib.ExitStack() as stack:

        def start(kind: str) -> Server:
            if kind not in started:
                try:
                    started[kind] = stack.enter_context(servers.running(kind))
                except ServerMissingError as error:
                    pytest.skip(str(error))
            return started[kind]

        yield start


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Return the one cluster of this test process: three primaries, started when first asked for."""
    with contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(servers.running_cluster("valkey9"))
        except ServerMissingError as error:
            pytest.skip(str(error))
        yield cluster


@pytest.fixture(scope="session")
def sentinels() -> Iterator[Watched]:
    """Return the one watched pair of servers of this test process; any test may make the other one the master."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(watched("valkey9"))
        except ServerMissingError as error:
            pytest.skip(str(error))
        yield found


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates of this test process."""
    try:
        return make_certificates(tmp_path_factory.mktemp("tls"))
    except OpensslMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def tls_url(start_server: StartServer, certificates: Certificates) -> Iterator[str]:
    """Return the URL of the Valkey server of this test process over TLS, with the authority to trust."""
    with tls_front(start_server("valkey9").port, certificates.server_context()) as port:
        yield f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificates.file('authority')}"


@pytest.fixture(scope="session", params=SERVER_KINDS)
def server_kind(request: pytest.FixtureRequest) -> str:
    """Run the test once per kind of server."""
    kind: str = request.param
    return kind


@pytest.fixture
def server(start_server: StartServer, server_kind: str) -> Iterator[Server]:
    """Return an empty server of each kind; nothing is left there for tests that do not ask for an empty one."""
    server = start_server(server_kind)
    with server.client() as client:
        client.flushall()
    yield server
    with server.client() as client:
        client.flushall()


@pytest.fixture
def redis_raw(server: Server) -> Iterator[redis.Redis]:
    """Return a raw client, replies as bytes, on an empty server of each kind."""
    with server.client() as client:
        yield client
