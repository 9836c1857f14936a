"""lead: nobody | this scheduler -> this scheduler."""

from typing import Any

from taskora.wire import Lead
from tests.transitions.keyspace import Expires, RawTask

LOCK = "taskora:schedules:lock"


def test_the_first_one_leads(task: RawTask) -> None:
    assert task.run(Lead(token="a", ttl_ms=30_000))
    assert task.dump() == {LOCK: Expires("a")}


def test_a_leader_stays_one(task: RawTask) -> None:
    task.seed({LOCK: Expires("a")})
    assert task.run(Lead(token="a", ttl_ms=90_000))
    client: Any = task.client
    assert client.pttl(LOCK) > 60_000


def test_another_one_changes_nothing(task: RawTask) -> None:
    task.seed({LOCK: Expires("a")})
    assert not task.run(Lead(token="b", ttl_ms=90_000))
    assert task.dump() == {LOCK: Expires("a")}
