"""exchange: when it tells waiting workers to look again."""

from typing import Any

import pytest

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
        pytest.param(NOBODY_MAY, 1, NOW + 1000, id="what is left is blocked"),
        pytest.param({**NOBODY_MAY, **DELAYED}, 1, NOW + 1000, id="blocked and delayed"),
        pytest.param({**LISTED, "x": BLOCKED, "conc:org": "1", "wait": ["b", "a", "x"]}, 1, 0, id="slots are full"),
        pytest.param({"wait": ["ghost"]}, 1, None, id="only ghosts"),
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
