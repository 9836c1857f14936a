"""count_jobs: reads only."""

import pytest

from taskora.wire import CountJobs, JobCounts
from tests.transitions.keyspace import BASE, NOW, Dump, Expires, RawTask, Scores, job


def counts(**numbers: int) -> JobCounts:
    names = (
        "waiting", "active", "delayed", "completed", "failed", "expired", "cancelled",
        "parked", "newer", "unserved", "workers",
    )  # fmt: skip
    oldest = numbers.pop("oldest", None)
    return JobCounts(**{name: numbers.get(name, 0) for name in names}, oldest_waiting_age_ms=oldest)


def test_a_task_without_jobs_has_none(task: RawTask) -> None:
    assert task.run(CountJobs(task="t")) == counts()


@pytest.mark.parametrize(("until", "told"), [(NOW + 1, NOW + 1), (NOW, None)])
def test_a_rate_limit_says_until_when_it_holds_ready_jobs_back(task: RawTask, until: int, told: int | None) -> None:
    task.seed({"parked:until": Expires(str(until))})
    assert task.run(CountJobs(task="t")).rate_limited_until_ms is None  # nothing waits for it
    task.seed({"a": job(), "wait": ["a"]})
    assert task.run(CountJobs(task="t")).rate_limited_until_ms == told


def test_every_place_is_counted(task: RawTask) -> None:
    places: Dump = {
        "wait": ["w"],
        "prioritized": Scores({"p": 1}),
        "active": ["a1", "a2", "a3"],
        "delayed": Scores({f"d{n}": n for n in range(4)}),
        "completed": Scores({f"c{n}": n for n in range(5)}),
        "failed": Scores({f"f{n}": n for n in range(6)}),
        "expired": Scores({f"e{n}": n for n in range(7)}),
        "cancelled": Scores({f"x{n}": n for n in range(8)}),
    }
    task.seed(places)
    expected = counts(waiting=2, active=3, delayed=4, completed=5, failed=6, expired=7, cancelled=8, unserved=6)
    assert task.run(CountJobs(task="t")) == expected
    assert task.dump() == places


@pytest.mark.parametrize(
    ("seed", "waiting", "oldest"),
    [
        ({"a": job(ts=NOW - 900), "b": job(ts=NOW - 5), "wait": ["b", "a"]}, 2, 900),
        ({"a": job(ts=NOW + 900), "wait": ["a"]}, 1, 0),
        ({"wait": ["ghost"]}, 1, None),
    ],
)
def test_the_age_of_the_job_that_leaves_the_list_next(
    task: RawTask, seed: Dump, waiting: int, oldest: int | None
) -> None:
    task.seed(seed)
    found = task.run(CountJobs(task="t"))
    assert (found.waiting, found.oldest_waiting_age_ms) == (waiting, oldest)


def test_among_the_prioritized_the_lowest_priority_waits_longest(task: RawTask) -> None:
    high, low, young = NOW - 10, NOW - 7000, NOW - 20
    task.seed(
        {
            "high": job(priority=9, ts=high),
            "low": job(priority=2, ts=low),
            "young": job(priority=2, ts=young),
            "prioritized": Scores({"high": high - 9e13, "low": low - 2e13, "young": young - 2e13}),
        }
    )
    assert task.run(CountJobs(task="t")).oldest_waiting_age_ms == 7000


def test_parked_jobs_are_waiting_ones_and_too_new_ones_are_delayed(task: RawTask) -> None:
    places: Dump = {
        "wait": ["w"],
        "parked:freed": ["f"],
        "parked:key:k": Scores({"k1": 1, "k2": 2}),
        "parked:keys": Scores({"k": 1}),
        "parked:count": "2",
        "delayed": Scores({"d": 1, "n": 2}),
        "parked:newer": Scores({"n": 3}),
    }
    task.seed(places)
    assert task.run(CountJobs(task="t")) == counts(waiting=4, parked=2, delayed=2, newer=1, unserved=3)


def test_where_a_worker_is_there_or_a_job_runs_nothing_is_unserved(task: RawTask) -> None:
    task.seed({"wait": ["w"], "delayed": Scores({"due": NOW, "later": NOW + 1})})
    assert task.run(CountJobs(task="t")) == counts(waiting=1, delayed=2, unserved=2)
    task.seed({"active": ["a"], "a": job("active")})
    assert task.run(CountJobs(task="t")).unserved == 2
    task.seed({"a:lock": Expires("token")})
    assert task.run(CountJobs(task="t")).unserved == 0
    task.client.delete(BASE + "a:lock")
    task.seed({"workers:beats": Expires(Scores({"w1": NOW - 30_000, "w2": NOW - 30_001}))})
    assert task.run(CountJobs(task="t")) == counts(waiting=1, delayed=2, active=1, workers=1)


def test_a_freed_job_may_be_the_oldest_and_a_parked_one_does_not_count(task: RawTask) -> None:
    task.seed(
        {"w": job(ts=NOW - 5), "f": job(ts=NOW - 50), "p": job(ts=NOW - 500), "wait": ["w"], "parked:freed": ["f"]}
    )
    task.seed({"parked:key:k": Scores({"p": 1}), "parked:keys": Scores({"k": 1}), "parked:count": "1"})
    assert task.run(CountJobs(task="t")).oldest_waiting_age_ms == 50


def test_where_all_of_a_priority_came_last_the_last_tells_the_age(task: RawTask) -> None:
    task.seed({"a": job(ts=NOW - 30, priority=2), "prioritized": Scores({"a": -NOW - 2e13})})
    assert task.run(CountJobs(task="t")).oldest_waiting_age_ms == 30
