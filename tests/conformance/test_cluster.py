"""The suite over a cluster of three servers."""

from collections.abc import Iterator
from functools import partial

import pytest
import redis

from taskora.testing.conformance import BackendConformance, OpenStorage
from tests.conformance.storages import storage_at
from tests.servers import Cluster


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[redis.RedisCluster]:
    """One raw client for all cases: it asks for much before its first command."""
    with cluster.client() as client:
        yield client


class TestCluster(BackendConformance):
    @pytest.fixture
    def open_storage(self, cluster: Cluster, client: redis.RedisCluster) -> OpenStorage:
        return partial(storage_at, cluster.url, client)
