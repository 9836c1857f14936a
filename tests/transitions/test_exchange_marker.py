"""exchange: when it tells waiting workers to look again."""

from typing import Any

import pytest

from taskora.wire import Pace
from tests.transitions.exchanges import COMPLETED, RETRYING, claimed, ended, exchange
from tests.transitions.keyspace import NOW, Dump, RawTask, Scores, job

BLOCKED = job(concurrencyKey="org", concurrencyLimit=1)
LISTED: Dump = {"a": job(), "b": job(), "wait": ["b", "a"]}
PRIORITIZED: Dump = {"a": job(priority=1), "prioritized": Scores({"a": NOW - 1e13})}
DELAYED: Dump = {"d": job("delayed"), "delayed": Scores({"d": NOW + 700})}
NOBODY_MAY: Dump = {"x": BLOCKED, "wait": ["x"], "conc:org": "1"}


@pytest.mark.parametrize(
    ("before", "slots", "look_at"),
    [
        pytest.param({}, 1, None, id="nothing at all"),
        pytest.param(LISTED, 2, None, id="everything was taken"),
        pytest.param(LISTED, 1, 0, id="one more is listed"),
        pytest.param(LISTED, 0, 0, id="the caller wanted none"),
        pytest.param(PRIORITIZED, 0, 0, id="one is prioritized"),
        pytest.param(DELAYED, 1, NOW + 700, id="one is delayed"),
        pytest.param({**LISTED, **DELAYED}, 1, 0, id="ready counts more than delayed"),
        pytest.param({**LISTED, **DELAYED}, 2, NOW + 700, id="delayed remains"),
        pytest.param(NOBODY_MAY, 1, None, id="what is left is parked"),
        pytest.param({**NOBODY_MAY, **DELAYED}, 1, NOW + 700, id="parked and delayed"),
        pytest.param({**LISTED, "x": BLOCKED, "conc:org": "1", "wait": ["b", "a", "x"]}, 1, 0, id="one is parked"),
        pytest.param({"wait": ["ghost"]}, 1, None, id="only ghosts"),
        pytest.param({"f": job(), "parked:freed": ["f"]}, 0, 0, id="one is freed"),
        pytest.param({"f": job(), "parked:freed": ["f"]}, 1, None, id="the freed one was taken"),
    ],
)
@pytest.mark.parametrize("stale", [None, 0, NOW - 5, NOW + 5000])
def test_the_marker_after_a_call(
    task: RawTask, before: Dump, slots: int, look_at: int | None, stale: int | None
) -> None:
    task.seed(before if stale is None else {**before, "marker": Scores({"0": stale})})
    task.run(exchange(slots=slots))
    expected = stale if look_at is None else look_at
    assert task.read("marker") == (None if expected is None else Scores({"0": expected}))


def test_a_retry_moves_the_marker_to_its_due_time(task: RawTask) -> None:
    task.seed({**claimed(), "marker": Scores({"0": NOW + 90_000})})
    task.run(exchange(ended(RETRYING, b"boom", delay_ms=800), slots=1))
    assert task.read("marker") == Scores({"0": NOW + 800})


def test_a_job_that_was_blocked_is_announced_when_its_slot_is_free(task: RawTask) -> None:
    key: dict[str, Any] = {"concurrencyKey": "org", "concurrencyLimit": 1}
    task.seed({**claimed(token="tok-1", **key), "x": job(**key), "wait": ["x"], "conc:org": "1"})
    task.run(exchange(ended(COMPLETED), slots=0))
    assert task.read("marker") == Scores({"0": 0})
    assert task.read("wait") == ["x"]


def test_a_parked_job_is_announced_when_its_slot_is_free(task: RawTask) -> None:
    key: dict[str, Any] = {"concurrencyKey": "org", "concurrencyLimit": 1}
    task.seed({**claimed(token="tok-1", **key), "x": job(**key), "conc:org": "1"})
    task.seed({"parked:key:org": Scores({"x": NOW}), "parked:keys": Scores({"org": NOW}), "parked:count": "1"})
    task.run(exchange(ended(COMPLETED), slots=0))
    assert task.read("marker") == Scores({"0": 0})
    assert task.read("parked:freed") == ["x"]


@pytest.mark.parametrize(
    ("pace", "before", "look_at"),
    [
        pytest.param(Pace(singleton=True), claimed(), NOW + 1000, id="one runs"),
        pytest.param(
            Pace(max=1, window_ms=9000), {"rate:": Scores({"x": NOW - 500})}, NOW + 8500, id="too many started"
        ),
        pytest.param(Pace(max=1, window_ms=9000), {"rate:": Scores({"x": NOW - 9000})}, 0, id="the window has passed"),
    ],
)
def test_the_marker_names_the_instant_until_which_nothing_may_start(
    task: RawTask, pace: Pace, before: Dump, look_at: int
) -> None:
    task.orphans.add("rate:")
    task.seed({**before, "a": job(), "b": job(), "wait": ["b", "a"]})
    task.run(exchange(slots=1, pace=pace))
    assert task.read("marker") == Scores({"0": look_at})
