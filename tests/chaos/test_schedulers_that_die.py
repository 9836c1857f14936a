"""What happens to schedules when the process that leads is killed, again and again."""

import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from taskora.contracts import Schedule
from taskora.producer import Producer
from taskora.wire import Keyspace, occurrence_id
from tests.chaos.clockwork import beat
from tests.chaos.fleet import PATIENCE_S, Fleet, fleet
from tests.polling import eventually
from tests.servers import Server

EVERY_MS = 200
NAMES = ("a", "b", "c")
pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]


def leader(team: Fleet, client: redis.Redis, *, besides: int = 0) -> int:
    """The process that leads, once another one does than that."""
    token: Any = client.get(Keyspace().schedules_lock_key)
    found = re.search(rf"scheduler {token.decode()} is (\d+)", team.log()) if token else None
    return int(found[1]) if found and int(found[1]) != besides else 0


def dispatched(client: redis.Redis) -> list[str]:
    """Ids of all jobs there ever were; their records may be gone."""
    entries: Any = client.xrange(Keyspace().task("beat").events_key)
    return [fields[b"jobId"].decode() for _, fields in entries if fields[b"event"] == b"waiting"]


def wait_for_runs(client: redis.Redis) -> None:
    """Returns when some more were dispatched."""
    seen = len(dispatched(client))
    eventually(lambda: len(dispatched(client)) > seen + 10, deadline=PATIENCE_S)


def kill(team: Fleet, process_id: int) -> None:
    (victim,) = [process for process in team.processes if process.pid == process_id]
    victim.kill()
    victim.wait()


def test_leaders_that_are_killed_lose_and_double_no_run(server: Server, tmp_path: Path) -> None:
    with Producer(server.url) as producer, server.client() as client, fleet(server.url, tmp_path) as team:
        first: dict[str, int] = {}
        for name in NAMES:
            schedule = Schedule(every=EVERY_MS / 1000, data=name, overlap=True, on_missed="catch-up")
            info = producer.schedules.create(name, beat, schedule)
            assert info.next_run is not None
            first[name] = round(info.next_run.timestamp() * 1000)
        for _ in range(2):
            team.start(program="tests.chaos.clockwork")
        victim = 0
        for _ in range(4):
            victim = eventually(partial(leader, team, client, besides=victim), deadline=PATIENCE_S)
            wait_for_runs(client)
            kill(team, victim)
            team.start(program="tests.chaos.clockwork")
        eventually(partial(leader, team, client, besides=victim), deadline=PATIENCE_S)
        wait_for_runs(client)
        for name in NAMES:
            assert producer.schedules.pause(name)
        team.end()
        assert_no_run_is_missing(Counter(dispatched(client)), first)


def assert_no_run_is_missing(dispatched: Counter[str], first: dict[str, int]) -> None:
    """Every run of every schedule, from its first to its last, is there once."""
    counts: dict[str, int] = {}
    for name, first_ms in first.items():
        runs = [str(occurrence_id("beat", name, first_ms + number * EVERY_MS)) for number in range(5000)]
        counts[name] = sum(run in dispatched for run in runs)
        assert [dispatched[run] for run in runs[: counts[name]]] == [1] * counts[name]
    assert dispatched.total() == sum(counts.values())
    assert min(counts.values()) > 10
