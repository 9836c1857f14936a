"""What happens to jobs when the processes that run them are killed, frozen and told to end."""

import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from taskora.contracts import JobState
from taskora.producer import Producer, TaskStats
from taskora.wire import Keyspace
from tests.chaos.fleet import PATIENCE_S, Fleet, fleet, frozen, running_in
from tests.chaos.program import work
from tests.polling import eventually
from tests.servers import Server

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]


def counts(producer: Producer) -> TaskStats:
    return producer.inspector.stats(work)["work"]


def assert_all_completed_once(server: Server, producer: Producer, job_ids: list[str]) -> None:
    stats = counts(producer)
    assert (stats.waiting, stats.active, stats.delayed, stats.failed) == (0, 0, 0, 0)
    assert stats.completed == len(job_ids)
    assert producer.dead_letters.list(work) == []
    task = producer.register(work)
    assert [task.job(job_id).result("1s")["number"] for job_id in job_ids] == [*range(len(job_ids))]
    keys = Keyspace().task("work")
    with server.client() as client:
        entries: Any = client.xrange(keys.events_key)
        completed = [fields[b"jobId"].decode() for _, fields in entries if fields[b"event"] == b"completed"]
        assert sorted(completed) == sorted(job_ids)  # each end was recorded once
        locks: Any = client.keys("*:lock")
        assert locks == []


def kill_again_and_again(team: Fleet, producer: Producer, victim: "subprocess.Popen[bytes]", *, times: int) -> int:
    """Kills a worker in the middle of its jobs, starts the next, and so on; returns how many jobs it took along."""
    interrupted = 0
    for _ in range(times):
        caught = eventually(partial(running_in, producer, victim), deadline=PATIENCE_S)
        victim.kill()
        victim.wait()
        interrupted += len(caught)
        victim = team.start(pause_ms=50)
    return interrupted


def test_workers_that_are_killed_lose_no_job(server: Server, tmp_path: Path) -> None:
    with Producer(server.url) as producer, fleet(server.url, tmp_path) as team:
        job_ids = [job.id for job in producer.register(work).dispatch_many(range(200))]
        victim = team.start(pause_ms=50)
        assert kill_again_and_again(team, producer, victim, times=3) > 0
        team.start(pause_ms=5)
        eventually(lambda: counts(producer).completed == 200, deadline=PATIENCE_S)
        assert_all_completed_once(server, producer, job_ids)
        stalled = [producer.inspector.find(work, job_id) for job_id in job_ids]
        assert any(info.stalled_count for info in stalled if info)
        assert {info.attempt for info in stalled if info} == {1}


def test_a_worker_that_was_frozen_past_its_lease_is_refused(server: Server, tmp_path: Path) -> None:
    with Producer(server.url) as producer, fleet(server.url, tmp_path) as team:
        sleeper = team.start(pause_ms=3000)
        job = producer.register(work).dispatch(0)
        eventually(lambda: running_in(producer, sleeper), deadline=PATIENCE_S)
        with frozen(sleeper):
            other = team.start(pause_ms=5)
            assert job.result(PATIENCE_S) == {"number": 0, "pid": other.pid}
        # Refused where it settles, or stopped by the renewer before that.
        eventually(lambda: "outcome_refused" in team.log() or "lease_lost" in team.log(), deadline=PATIENCE_S)
        assert job.result("1s") == {"number": 0, "pid": other.pid}
        assert_all_completed_once(server, producer, [job.id])
        # It is as good as new afterwards.
        other.kill()
        other.wait()
        again = producer.register(work).dispatch(1)
        assert again.result(PATIENCE_S) == {"number": 1, "pid": sleeper.pid}


def test_a_worker_that_is_told_to_end_under_load_spends_no_attempt(server: Server, tmp_path: Path) -> None:
    with Producer(server.url) as producer, fleet(server.url, tmp_path) as team:
        job_ids = [job.id for job in producer.register(work).dispatch_many(range(500))]
        for _ in range(2):
            worker = team.start(pause_ms=30)
            eventually(partial(running_in, producer, worker), deadline=PATIENCE_S)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(PATIENCE_S) == 0
            stats = counts(producer)
            assert stats.active == 0
            assert stats.waiting + stats.completed == 500
        slow = team.start(pause_ms=20_000)  # longer than its grace
        eventually(lambda: len(running_in(producer, slow)) == 5, deadline=PATIENCE_S)
        slow.send_signal(signal.SIGTERM)
        assert slow.wait(PATIENCE_S) == 0
        assert counts(producer).active == 0
        team.start(pause_ms=1)
        eventually(lambda: counts(producer).completed == 500, deadline=PATIENCE_S)
        assert_all_completed_once(server, producer, job_ids)
        infos = [producer.inspector.find(work, job_id) for job_id in job_ids]
        assert {(info.attempt, info.stalled_count, info.state) for info in infos if info} == {
            (1, 0, JobState.COMPLETED)
        }


def test_a_job_that_kills_its_worker_every_time_fails_in_the_end(server: Server, tmp_path: Path) -> None:
    with Producer(server.url) as producer, fleet(server.url, tmp_path) as team:
        job = producer.register(work).dispatch(0)
        keys = Keyspace().task("work")
        with server.client() as client:
            client.hset(keys.job_key(job.id), "stalledCount", "99")  # the limit of these workers is 100
        for _ in range(2):
            worker = team.start(pause_ms=60_000)
            eventually(partial(running_in, producer, worker), deadline=PATIENCE_S)
            worker.kill()
            worker.wait()
        team.start()
        dead = eventually(lambda: producer.dead_letters.list(work), deadline=PATIENCE_S)
        assert [(info.id, info.stalled_count, info.attempt) for info in dead] == [(job.id, 101, 1)]
        assert "stalled" in (dead[0].error or "")
