"""reserve_start: active -> active, with a place in a window of time."""

import pytest

from taskora.wire import ReserveStart
from tests.transitions.keyspace import NOW, Expires, RawTask, Scores

WINDOW = 10_000


def reserve(start_id: str, *, most: int = 2, key: str = "org:1") -> ReserveStart:
    return ReserveStart(task="t", key=key, start_id=start_id, max=most, window_ms=WINDOW)


def test_the_first_start_at_once_and_are_remembered(task: RawTask) -> None:
    assert [task.run(reserve("a")), task.run(reserve("b"))] == [0, 0]
    assert task.dump() == {"rate:org:1": Expires(Scores({"a": NOW, "b": NOW}))}
    assert WINDOW + 50_000 < task.lifetime_ms("rate:org:1") <= WINDOW + 60_000


def test_the_next_ones_start_when_a_place_is_free(task: RawTask) -> None:
    waits = [task.run(reserve(str(number))) for number in range(5)]
    assert waits == [0, 0, WINDOW, WINDOW, 2 * WINDOW]
    assert 3 * WINDOW + 50_000 < task.lifetime_ms("rate:org:1") <= 3 * WINDOW + 60_000


@pytest.mark.parametrize(("age_ms", "wait_ms"), [(0, WINDOW), (WINDOW - 1, 1), (WINDOW, 0), (WINDOW + 1, 0)])
def test_a_start_counts_until_the_window_has_passed(task: RawTask, age_ms: int, wait_ms: int) -> None:
    task.seed({"rate:org:1": Expires(Scores({"old": NOW - age_ms}))})
    assert task.run(reserve("a", most=1)) == wait_ms


@pytest.mark.parametrize(("reserved", "wait_ms"), [(NOW + 700, 700), (NOW, 0), (NOW - 90_000, 0)])
def test_asking_again_gives_the_same_instant(task: RawTask, reserved: int, wait_ms: int) -> None:
    starts = Expires(Scores({"a": reserved}))
    task.seed({"rate:org:1": starts})
    assert task.run(reserve("a")) == wait_ms
    assert task.dump() == {"rate:org:1": starts}


def test_keys_count_apart(task: RawTask) -> None:
    assert [task.run(reserve("a", most=1, key=key)) for key in ("x", "y")] == [0, 0]
