"""count_versions: reads only."""

from collections.abc import Iterator

import pytest

from taskora.wire import CountVersions, Enqueue, Exchange, NewJob, VersionCounts, count_versions, drive
from tests.transitions.keyspace import Dump, RawTask, Scores, job

AT_ONCE = 5000


def calls(task: RawTask) -> Iterator[VersionCounts]:
    """All replies of one count."""
    rest: CountVersions | None = CountVersions(task="t")
    while rest is not None:
        counts = task.run(rest)
        yield counts
        rest = counts.rest


def size(counts: VersionCounts) -> int:
    return sum(sum(found.values()) for found in (counts.waiting, counts.active, counts.delayed))


def enqueue(task: RawTask, name: str, count: int) -> None:
    jobs = [NewJob(job_id=f"{name}{n}", data=b"1") for n in range(count)]
    task.run(Enqueue(task="t", version=1, max_attempts=3, jobs=jobs))


def backlog(name: str, count: int, version: int) -> Dump:
    return {f"{name}{n}": {"_v": str(version)} for n in range(count)}


def scores(name: str, count: int) -> Scores:
    return Scores({f"{name}{n}": n for n in range(count)})


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


def test_many_jobs_are_counted_over_several_calls(task: RawTask) -> None:
    keys = [f"key-{n}" for n in range(300)]
    task.seed(
        {
            **backlog("d", AT_ONCE - 1, 1),
            **backlog("p", 700, 2),
            **backlog("w", 600, 3),
            **backlog("f", 2, 4),
            **backlog("a", 3, 5),
            **backlog("k", 300, 6),
            **backlog("c", AT_ONCE + 10, 7),
            "delayed": scores("d", AT_ONCE - 1),
            "prioritized": scores("p", 700),
            "wait": [f"w{n}" for n in range(600)],
            "parked:freed": ["f0", "f1"],
            "active": ["a0", "a1", "a2"],
            **{f"parked:key:{key}": Scores({f"k{n}": n}) for n, key in enumerate(keys)},
            "parked:key:crowd": scores("c", AT_ONCE + 10),
            "parked:count": str(AT_ONCE + 310),
            "parked:keys": Scores({"crowd": 9, **dict.fromkeys(keys, 1)}),
        }
    )
    replies = list(calls(task))
    assert len(replies) > 2
    assert max(size(reply) for reply in replies) <= AT_ONCE
    assert drive(count_versions("t"), task.run) == VersionCounts(
        waiting={2: 700, 3: 600, 4: 2, 6: 300, 7: AT_ONCE + 10}, active={5: 3}, delayed={1: AT_ONCE - 1}
    )


@pytest.mark.parametrize("place", ["delayed", "prioritized", "wait", "active"])
def test_a_place_that_fills_a_call_exactly_is_counted_once(task: RawTask, place: str) -> None:
    ids = scores("j", AT_ONCE)
    task.seed({**backlog("j", AT_ONCE, 1), place: ids if place in ("delayed", "prioritized") else list(ids)})
    assert [size(reply) for reply in calls(task)] == [AT_ONCE, 0]


def test_a_job_that_moves_on_meanwhile_is_not_missed(task: RawTask) -> None:
    enqueue(task, "early", AT_ONCE + 100)
    replies = calls(task)
    first = next(replies)
    task.run(Exchange(task="t", token="tok", lease_ms=60_000, slots=200, max_version=9))
    enqueue(task, "late", 10)
    rest = list(replies)
    assert first.waiting == {1: AT_ONCE}
    assert sum(reply.active.get(1, 0) for reply in rest) == 200
    found = AT_ONCE + sum(reply.waiting.get(1, 0) + reply.active.get(1, 0) for reply in rest)
    assert found >= AT_ONCE + 100
