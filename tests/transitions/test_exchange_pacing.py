"""exchange: singletons and rates."""

import pytest

from taskora.wire import Claim, Pace
from tests.transitions.exchanges import NEXT, claimed, exchange
from tests.transitions.keyspace import NOW, Dump, Expires, RawTask, Scores, job

TEN: Pace = Pace(max=2, window_ms=10_000)


def waiting(*job_ids: str) -> Dump:
    return {**{job_id: job() for job_id in job_ids}, "wait": list(reversed(job_ids))}


def ids(claims: tuple[Claim, ...]) -> list[str]:
    return [claim.job_id for claim in claims]


def test_starts_are_kept_as_long_as_the_window(task: RawTask) -> None:
    task.seed(waiting("a", "b", "c"))
    assert ids(task.run(exchange(slots=5, pace=TEN)).claims) == ["a", "b"]
    assert task.read("rate:") == Expires(Scores({f"{NEXT}:a": NOW, f"{NEXT}:b": NOW}))
    assert 9_000 < task.lifetime_ms("rate:") <= 10_000


@pytest.mark.parametrize(("age_ms", "started"), [(9_999, 0), (10_000, 1), (10_001, 1)])
def test_a_start_counts_until_the_window_has_passed(task: RawTask, age_ms: int, started: int) -> None:
    task.seed({**waiting("a"), "rate:": Expires(Scores({"x": NOW - age_ms}))})
    assert len(task.run(exchange(slots=5, pace=Pace(max=1, window_ms=10_000))).claims) == started


def test_a_key_counts_apart(task: RawTask) -> None:
    task.seed({**waiting("a"), "rate:": Expires(Scores({"x": NOW, "y": NOW}))})
    task.run(exchange(slots=1, pace=Pace(max=2, window_ms=10_000, key="mail")))
    assert task.read("rate:mail") == Expires(Scores({f"{NEXT}:a": NOW}))


def test_without_a_rate_nothing_is_counted(task: RawTask) -> None:
    task.seed(waiting("a"))
    task.run(exchange(slots=1))
    assert "rate:" not in task.dump()


def test_a_repetition_neither_forgets_nor_doubles_starts(task: RawTask) -> None:
    task.seed(waiting("a"))
    pace = Pace(max=3, window_ms=10_000)
    task.run(exchange(slots=2, pace=pace), now_ms=NOW)
    task.seed(waiting("b", "c", "d"))
    assert ids(task.run(exchange(slots=2, pace=pace, resend=True), now_ms=NOW + 1).claims) == ["a", "b"]
    assert task.read("rate:") == Expires(Scores({f"{NEXT}:a": NOW, f"{NEXT}:b": NOW + 1}))


def test_a_singleton_starts_one(task: RawTask) -> None:
    task.seed(waiting("a", "b"))
    assert ids(task.run(exchange(slots=5, pace=Pace(singleton=True))).claims) == ["a"]


def test_a_singleton_waits_for_the_one_that_runs(task: RawTask) -> None:
    task.seed({**claimed(), **waiting("a")})
    assert task.run(exchange(slots=5, pace=Pace(singleton=True))).claims == ()


def test_an_entry_without_a_lease_does_not_block_a_singleton(task: RawTask) -> None:
    task.seed({"dead": job("active"), "active": ["dead"], **waiting("a")})
    assert ids(task.run(exchange(slots=5, pace=Pace(singleton=True))).claims) == ["a"]
