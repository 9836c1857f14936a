"""The suite over this process's memory."""

import pytest

from taskora.testing.conformance import BackendConformance, OpenStorage
from tests.conformance.storages import memory_storage


class TestMemory(BackendConformance):
    @pytest.fixture
    def open_storage(self) -> OpenStorage:
        return memory_storage
