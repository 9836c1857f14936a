"""An empty keyspace per test, searched for leaks afterwards."""

from collections.abc import Iterator

import pytest
import redis

from tests.transitions.keyspace import RawTask, leaks


@pytest.fixture
def task(redis_raw: redis.Redis) -> Iterator[RawTask]:
    """The raw keys of one task; what a test leaves must have a lifetime, an owner, or a place on the permanent list."""
    raw = RawTask(redis_raw)
    yield raw
    assert leaks(raw.dump(without=tuple(raw.orphans))) == []
