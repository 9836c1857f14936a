"""The suite over real servers: over one shared connection in RESP 2 and in RESP 3, and over a pool.

Other ways to a server carry the same scripts and replies; `test_ways` has the cases that could tell them apart.
"""

from functools import partial

import pytest

from taskora.testing.conformance import BackendConformance, OpenStorage
from tests.conformance.storages import redis_storage
from tests.fixtures import StartServer


class TestValkey9(BackendConformance):
    @pytest.fixture
    def open_storage(self, start_server: StartServer) -> OpenStorage:
        return partial(redis_storage, start_server("valkey9"))


class TestRedis7(BackendConformance):
    @pytest.fixture
    def open_storage(self, start_server: StartServer) -> OpenStorage:
        return partial(redis_storage, start_server("redis7"), "?protocol=3")


class TestPool(BackendConformance):
    @pytest.fixture
    def open_storage(self, start_server: StartServer) -> OpenStorage:
        return partial(redis_storage, start_server("valkey9"), "?transport=redis-py")
