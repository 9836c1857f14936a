"""A part of the suite over every other way to a server.

Scripts and their replies are the same over all of them, and run in full elsewhere. What a way could get wrong is how it
connects, and the few commands that are no scripts: waits, streams of events, published cancellations, the handshake.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import pytest
import redis

from taskora.testing.conformance import BackendConformance, OpenStorage
from tests.conformance.storages import storage_at
from tests.fixtures import StartServer
from tests.sentinels import Watched
from tests.servers import Cluster

KEPT: Final = ("TestCancel", "TestEvents", "TestHandshake", "TestWaiting")


class _Part(BackendConformance):
    """Only the cases that can tell ways apart."""


for _name in [name for name in dir(BackendConformance) if name.startswith("Test") and name not in KEPT]:
    setattr(_Part, _name, None)


@pytest.fixture(scope="module")
def valkey(start_server: StartServer) -> Iterator[redis.Redis]:
    with start_server("valkey9").client() as client:
        yield client


@pytest.fixture(scope="module")
def of_master(sentinels: Watched) -> Iterator[redis.Redis]:
    with sentinels.client(sentinels.master()) as client:
        yield client


@pytest.fixture(scope="module")
def of_cluster(cluster: Cluster) -> Iterator[redis.RedisCluster]:
    with cluster.client() as client:
        yield client


class TestPoolInResp3(_Part):
    @pytest.fixture
    def open_storage(self, start_server: StartServer, valkey: redis.Redis) -> OpenStorage:
        return partial(storage_at, start_server("valkey9").url + "?transport=redis-py&protocol=3", valkey)


@pytest.mark.parametrize("options", ["", "&transport=redis-py&protocol=3"], ids=["fast", "pool-resp3"])
class TestTls(_Part):
    @pytest.fixture
    def open_storage(self, tls_url: str, valkey: redis.Redis, options: str) -> OpenStorage:
        return partial(storage_at, tls_url + options, valkey)


@pytest.mark.parametrize("options", [{"protocol": 3}, {"transport": "redis-py"}], ids=["fast-resp3", "pool"])
class TestSentinel(_Part):
    @pytest.fixture
    def open_storage(self, sentinels: Watched, of_master: redis.Redis, options: dict[str, Any]) -> OpenStorage:
        return partial(storage_at, sentinels.with_options(**options), of_master)


@pytest.mark.parametrize("options", ["?protocol=3", "?transport=redis-py"], ids=["fast-resp3", "pool"])
class TestCluster(_Part):
    @pytest.fixture
    def open_storage(self, cluster: Cluster, of_cluster: redis.RedisCluster, options: str) -> OpenStorage:
        return partial(storage_at, cluster.url + options, of_cluster)
