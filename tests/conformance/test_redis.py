"""The suite over real servers."""

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
        return partial(redis_storage, start_server("redis7"))


class TestPool(BackendConformance):
    @pytest.fixture
    def open_storage(self, start_server: StartServer) -> OpenStorage:
        return partial(redis_storage, start_server("valkey9"), "redis-py")
