"""read_workers: reads only."""

from dataclasses import replace

import pytest

from taskora.wire import AnnounceWorker, ReadWorkers, WorkerRecord
from tests.transitions.keyspace import NOW, Dump, Expires, RawTask, Scores

WORKER = WorkerRecord(worker_id="w1", task="t", host="b\u00f6x", pid=7, version=3, concurrency=10, started_ms=NOW - 5)


def test_workers_come_by_when_they_were_last_heard_of(task: RawTask) -> None:
    other = replace(WORKER, worker_id="w0", pid=8)
    task.run(AnnounceWorker(worker=other))
    task.run(AnnounceWorker(worker=WORKER), now_ms=NOW - 1)
    assert task.run(ReadWorkers(task="t")) == (replace(WORKER, beat_ms=NOW - 1), replace(other, beat_ms=NOW))


def test_a_task_that_nobody_works_on_has_none(task: RawTask) -> None:
    assert task.run(ReadWorkers(task="t")) == ()


@pytest.mark.parametrize("about", [{}, {"w1": "{half"}, {"w1": "[1]"}, {"w1": '{"pid":true,"host":5}'}])
def test_what_is_damaged_or_missing_counts_as_nothing(task: RawTask, about: dict[str, str]) -> None:
    seed: Dump = {"workers:beats": Expires(Scores({"w1": NOW}))}
    task.seed(seed | ({"workers:about": Expires(about)} if about else {}))
    nothing = WorkerRecord(
        worker_id="w1", task="t", host="", pid=0, version=0, concurrency=0, started_ms=0, beat_ms=NOW
    )
    assert task.run(ReadWorkers(task="t")) == (nothing,)
