"""step_down: this scheduler -> nobody."""

from taskora.wire import StepDown
from tests.transitions.keyspace import Expires, RawTask

LOCK = "taskora:schedules:lock"


def test_the_leader_leaves_no_lock(task: RawTask) -> None:
    task.seed({LOCK: Expires("a")})
    assert task.run(StepDown(token="a"))
    assert task.dump() == {}
    assert not task.run(StepDown(token="a"))


def test_a_late_one_leaves_the_lock_of_its_follower(task: RawTask) -> None:
    task.seed({LOCK: Expires("b")})
    assert not task.run(StepDown(token="a"))
    assert task.dump() == {LOCK: Expires("b")}
