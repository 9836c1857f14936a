"""A server that hangs delays nobody but its own tasks."""

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from redis.crc import key_slot

from taskora.contracts import BackendError
from taskora.wire import ExtendLeases, Lease, LeaseState
from taskora.wire.backends import _requests, open_sync_backend
from tests.servers import Cluster, Server

TASKS = [f"task-{number}" for number in range(24)]


@contextmanager
def frozen(server: Server) -> Generator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_leases_of_other_servers_are_renewed_while_one_is_frozen(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_requests, "HASTY_TIMEOUT", 0.5)
    backend = open_sync_backend(cluster.url)
    lost: list[str] = []
    renewals = [ExtendLeases(task=task, lease_ms=1000, leases=[Lease(job_id="j", token="t")]) for task in TASKS]
    for renewal in renewals:
        assert backend.run(renewal) == (LeaseState.LOST,)
    with frozen(cluster.servers[0]):  # for less than the others take to declare it dead
        for renewal in renewals:
            try:
                assert backend.run(renewal) == (LeaseState.LOST,)
            except BackendError:
                lost.append(renewal.task)
    backend.close()
    first = {task for task in TASKS if key_slot(f"taskora:{{{task}}}:wait".encode()) * 3 < 16_384}
    assert first
    assert set(lost) == first
