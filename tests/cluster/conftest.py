"""The cluster of a test process is shared; each test begins with an empty one."""

import pytest

from tests.servers import Cluster


@pytest.fixture(autouse=True)
def _empty(cluster: Cluster) -> None:
    cluster.flush()
