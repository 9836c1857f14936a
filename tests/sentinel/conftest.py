"""The watched servers of a test process are shared; each test begins with empty ones."""

import pytest

from tests.sentinels import Watched


@pytest.fixture(autouse=True)
def _empty(sentinels: Watched) -> None:
    with sentinels.client(sentinels.master()) as client:
        client.flushall()
