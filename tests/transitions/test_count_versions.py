"""count_versions: reads only."""

from taskora.wire import CountVersions, VersionCounts
from tests.transitions.keyspace import Dump, RawTask, Scores, job


def test_a_task_without_jobs_has_no_versions(task: RawTask) -> None:
    assert task.run(CountVersions(task="t")) == VersionCounts(waiting={}, active={}, delayed={})


def test_every_job_that_may_still_run_counts(task: RawTask) -> None:
    before: Dump = {
        **{name: job(_v=1) for name in ("w1", "p1", "f1", "a1")},
        **{name: job(_v=2) for name in ("w2", "k2", "l2", "d2", "e2")},
        "d3": job("delayed", _v=3),
        "ended": job("completed", _v=9),
        "wait": ["w2", "w1"],
        "prioritized": Scores({"p1": 1}),
        "parked:freed": ["f1"],
        "parked:key:k": Scores({"k2": 1}),
        "parked:key:l": Scores({"l2": 1}),
        "parked:keys": Scores({"k": 1, "l": 2}),
        "parked:count": "2",
        "active": ["a1"],
        "delayed": Scores({"d2": 1, "d3": 2, "e2": 3}),
        "completed": Scores({"ended": 1}),
    }
    task.seed(before)
    expected = VersionCounts(waiting={1: 3, 2: 3}, active={1: 1}, delayed={2: 2, 3: 1})
    assert task.run(CountVersions(task="t")) == expected
    assert task.dump() == before


def test_a_job_without_a_version_counts_as_zero(task: RawTask) -> None:
    task.seed({"odd": {"data": "1"}, "wait": ["odd", "ghost"]})
    assert task.run(CountVersions(task="t")).waiting == {0: 2}


def test_a_damaged_job_does_not_hide_the_others(task: RawTask) -> None:
    task.orphans.add("odd")
    task.seed({"odd": "a string", "j1": job(_v=4), "wait": ["odd", "j1"]})
    assert task.run(CountVersions(task="t")).waiting == {0: 1, 4: 1}
