"""announce_worker: moves no job."""

from dataclasses import replace

from taskora.wire import AnnounceWorker, ReadWorkers, WorkerRecord
from tests.transitions.keyspace import NOW, Expires, RawTask, Scores

WORKER = WorkerRecord(worker_id="w1", task="t", host="box", pid=7, version=3, concurrency=10, started_ms=NOW - 5)
ABOUT = '{"host":"box","pid":7,"version":3,"concurrency":10,"started":1795299651767}'


def test_a_worker_says_that_it_is_there_and_what_it_is(task: RawTask) -> None:
    assert task.run(AnnounceWorker(worker=WORKER)) == 1
    assert task.dump() == {
        "workers:beats": Expires(Scores({"w1": NOW})),
        "workers:about": Expires({"w1": ABOUT}),
    }
    assert 50_000 < task.lifetime_ms("workers:beats") <= 60_000
    assert 50_000 < task.lifetime_ms("workers:about") <= 60_000


def test_who_says_it_again_counts_once(task: RawTask) -> None:
    task.run(AnnounceWorker(worker=WORKER), now_ms=NOW - 10_000)
    assert task.run(AnnounceWorker(worker=WORKER)) == 1
    assert task.read("workers:beats") == Expires(Scores({"w1": NOW}))


def test_who_was_not_heard_of_for_half_a_minute_is_forgotten(task: RawTask) -> None:
    for worker_id, age_ms in (("dead", 30_001), ("late", 30_000)):
        task.run(AnnounceWorker(worker=replace(WORKER, worker_id=worker_id)), now_ms=NOW - age_ms)
    assert [worker.worker_id for worker in task.run(ReadWorkers(task="t"))] == ["late"]
    assert task.run(AnnounceWorker(worker=WORKER)) == 2
    assert task.read("workers:beats") == Expires(Scores({"late": NOW - 30_000, "w1": NOW}))
    assert set(task.read("workers:about").value) == {"late", "w1"}


def test_the_last_one_that_leaves_leaves_nothing(task: RawTask) -> None:
    task.run(AnnounceWorker(worker=WORKER))
    assert task.run(AnnounceWorker(worker=WORKER, leaves=True)) == 0
    assert task.run(AnnounceWorker(worker=WORKER, leaves=True)) == 0
    assert task.dump() == {}
