"""set_due: next run of a schedule -> another one, or none."""

import pytest

from taskora.wire import Expected, SetDue
from tests.transitions.keyspace import Dump, RawTask, Scores

NEXT = "taskora:schedules:next"
FOUND: Dump = {NEXT: Scores({"s": 1795299712676})}


@pytest.mark.parametrize(
    ("expected", "due_ms", "reply", "left"),
    [
        ("any", 1795299799999, True, {NEXT: Scores({"s": 1795299799999})}),
        (1795299712676, 1795299799999, True, {NEXT: Scores({"s": 1795299799999})}),
        (1795299712675, 1795299799999, False, FOUND),
        ("none", 1795299799999, False, FOUND),
        ("none", 1795299712676, True, FOUND),
        ("any", None, True, {}),
        (1795299712676, None, True, {}),
        (1795299712675, None, False, FOUND),
    ],
)
def test_a_planned_schedule(task: RawTask, expected: Expected, due_ms: int | None, reply: bool, left: Dump) -> None:
    task.seed(FOUND)
    assert task.run(SetDue(name="s", expected=expected, due_ms=due_ms)) is reply
    assert task.dump() == left


@pytest.mark.parametrize(
    ("expected", "due_ms", "reply", "left"),
    [
        ("any", 1795299712676, True, FOUND),
        ("none", 1795299712676, True, FOUND),
        (1795299712675, 1795299712676, False, {}),
        ("none", None, True, {}),
        (1795299712675, None, True, {}),
    ],
)
def test_one_that_is_not_planned(
    task: RawTask, expected: Expected, due_ms: int | None, reply: bool, left: Dump
) -> None:
    assert task.run(SetDue(name="s", expected=expected, due_ms=due_ms)) is reply
    assert task.dump() == left
