"""prune: completed | failed | cancelled | expired -> (none)."""

from dataclasses import replace

import pytest

from taskora.contracts import JobState
from taskora.wire import FINAL_STATES, FinalState, Prune, Pruned
from tests.transitions.keyspace import NOW, Dump, Expires, RawTask, Scores, job


def prune(
    *,
    max_age_ms: int | None = None,
    max_items: int | None = None,
    spared_ms: int = 0,
    limit: int = 1000,
    state: FinalState = JobState.COMPLETED,
) -> Prune:
    return Prune(task="t", state=state, max_age_ms=max_age_ms, max_items=max_items, spared_ms=spared_ms, limit=limit)


def aged(**ages: int) -> Dump:
    """Completed jobs by the milliseconds since they ended."""
    ends = Scores({job_id: NOW - age for job_id, age in ages.items()})
    return {**{job_id: job("completed") for job_id in ages}, "completed": ends}


def left(task: RawTask) -> list[str]:
    return sorted(task.read("completed") or [])


@pytest.mark.parametrize("state", FINAL_STATES)
def test_a_pruned_job_is_gone_with_all_its_keys(task: RawTask, state: FinalState) -> None:
    mine: Dump = {"j1": job(state), "j1:logs": ["{}"], "j1:lock": Expires("tok")}
    task.seed({**mine, state: Scores({"j1": NOW - 1000})})
    assert task.run(prune(max_age_ms=10, state=state)).removed == 1
    assert task.dump() == {}


def test_jobs_at_or_above_the_age_go(task: RawTask) -> None:
    task.seed(aged(old=101, edge=100, young=99))
    assert task.run(prune(max_age_ms=100)).removed == 2
    assert left(task) == ["young"]


def test_the_oldest_above_the_number_go(task: RawTask) -> None:
    task.seed(aged(a=30, b=20, c=10))
    assert task.run(prune(max_items=2)).removed == 1
    assert left(task) == ["b", "c"]


def test_age_comes_first_and_the_number_counts_what_is_left(task: RawTask) -> None:
    task.seed(aged(a=500, b=30, c=20, d=10))
    assert task.run(prune(max_age_ms=100, max_items=2)).removed == 2
    assert left(task) == ["c", "d"]


@pytest.mark.parametrize(
    ("request_", "kept"),
    [
        (prune(max_items=0, spared_ms=21), ["b", "c"]),
        (prune(max_items=0, spared_ms=20), ["c"]),
        (prune(max_items=2, spared_ms=31), ["a", "b", "c"]),
        (prune(max_age_ms=5, spared_ms=30), ["b", "c"]),
        (prune(max_age_ms=30, spared_ms=5), ["b", "c"]),
        (prune(max_age_ms=30, max_items=0, spared_ms=15), ["c"]),
    ],
)
def test_what_has_just_ended_is_spared(task: RawTask, request_: Prune, kept: list[str]) -> None:
    task.seed(aged(a=30, b=20, c=10))
    assert task.run(request_).removed == 3 - len(kept)
    assert left(task) == kept


@pytest.mark.parametrize("request_", [prune(), prune(max_age_ms=1000), prune(max_items=3)])
def test_what_is_within_bounds_stays(task: RawTask, request_: Prune) -> None:
    task.seed(aged(a=30, b=20, c=10))
    assert task.run(request_).removed == 0
    assert task.dump() == aged(a=30, b=20, c=10)


def test_zero_keeps_nothing(task: RawTask) -> None:
    task.seed(aged(a=30, b=0))
    assert task.run(prune(max_age_ms=0)).removed == 2
    task.seed(aged(a=30, b=0))
    assert task.run(prune(max_items=0)).removed == 2
    assert task.dump() == {}


@pytest.mark.parametrize("bound", [prune(max_age_ms=5, limit=2), prune(max_items=0, limit=2)])
def test_one_call_removes_at_most_its_limit_oldest_first(task: RawTask, bound: Prune) -> None:
    task.seed(aged(a=30, b=20, c=10))
    assert task.run(bound).removed == 2
    assert left(task) == ["c"]
    assert task.run(bound).removed == 1
    assert task.run(bound).removed == 0


def test_the_limit_covers_age_and_number_together(task: RawTask) -> None:
    task.seed(aged(a=500, b=400, c=30, d=20, e=10))
    assert task.run(prune(max_age_ms=100, max_items=0, limit=3)).removed == 3
    assert left(task) == ["d", "e"]


def test_an_id_without_a_job_is_forgotten(task: RawTask) -> None:
    task.seed({"completed": Scores({"ghost": NOW - 500})})
    assert task.run(prune(max_age_ms=100)).removed == 1
    assert task.dump() == {}


def test_a_clock_that_went_back_removes_less(task: RawTask) -> None:
    task.seed(aged(a=150))
    assert task.run(prune(max_age_ms=100), now_ms=NOW - 60_000).removed == 0


def test_more_than_lua_can_unpack_go_in_one_call(task: RawTask) -> None:
    ids = [f"j{n}" for n in range(9000)]
    task.client.zadd("taskora:{t}:completed", dict.fromkeys(ids, NOW - 500))
    assert task.run(prune(max_age_ms=100, limit=9000)).removed == 9000


def keep(count: int, *, of: int) -> Dump:
    """Completed jobs, of which the oldest are steps whose workflow may not know."""
    ids = [f"j{number:02}" for number in range(of)]
    notes: Dump = {"workflow:untold": Scores(dict.fromkeys(ids[:count], NOW))} if count else {}
    return {**aged(**{job_id: 100 - number for number, job_id in enumerate(ids)}), **notes}


@pytest.mark.parametrize("request_", [prune(max_age_ms=5, limit=3), prune(max_items=0, limit=3)], ids=["age", "number"])
def test_what_lies_behind_untold_jobs_is_found_by_going_on(task: RawTask, request_: Prune) -> None:
    task.seed(keep(5, of=12))
    found: list[tuple[int, int | None]] = []
    cursor: int | None = 0
    while cursor is not None:
        pruned = task.run(replace(request_, cursor=cursor))
        found.append((pruned.removed, pruned.cursor))
        cursor = pruned.cursor
    assert found == [(0, 3), (1, 5), (3, 5), (3, None)]
    assert left(task) == [f"j{number:02}" for number in range(5)]


def test_a_cursor_behind_the_last_finds_nothing(task: RawTask) -> None:
    task.seed(aged(a=30, b=20))
    assert task.run(replace(prune(max_items=0), cursor=2)) == Pruned(removed=0, cursor=None)
    assert task.run(replace(prune(max_items=0, limit=0), cursor=0)) == Pruned(removed=0, cursor=None)
    assert left(task) == ["a", "b"]
