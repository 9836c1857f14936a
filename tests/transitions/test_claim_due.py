"""claim_due: due -> claimed."""

from taskora.wire import ClaimDue, ClaimedDue
from tests.transitions.keyspace import NOW, RawTask, Scores

NEXT = "taskora:schedules:next"


def test_what_is_due_is_due_again_when_the_claim_ends(task: RawTask) -> None:
    task.seed({NEXT: Scores({"a": NOW - 5, "b": NOW, "c": NOW + 1})})
    claimed = task.run(ClaimDue(lease_ms=30_000))
    assert claimed == ClaimedDue(now_ms=NOW, next_ms=NOW + 1, due={"a": NOW - 5, "b": NOW})
    assert task.dump() == {NEXT: Scores({"a": NOW + 30_000, "b": NOW + 30_000, "c": NOW + 1})}


def test_no_more_than_asked(task: RawTask) -> None:
    task.seed({NEXT: Scores({"a": NOW - 5, "b": NOW})})
    claimed = task.run(ClaimDue(lease_ms=30_000, limit=1))
    assert claimed == ClaimedDue(now_ms=NOW, next_ms=NOW, due={"a": NOW - 5})
    assert task.dump() == {NEXT: Scores({"a": NOW + 30_000, "b": NOW})}


def test_nothing_is_due(task: RawTask) -> None:
    assert task.run(ClaimDue(lease_ms=30_000)) == ClaimedDue(now_ms=NOW, next_ms=None, due={})
    assert task.dump() == {}


def test_the_time_is_that_of_the_server_if_none_is_given(task: RawTask) -> None:
    assert task.run(ClaimDue(lease_ms=30_000), now_ms=None).now_ms > 1_600_000_000_000
