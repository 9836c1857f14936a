"""withdraw_claim: claim of a schedule -> withdrawn claim."""

import pytest

from taskora.wire import WithdrawClaim
from tests.transitions.keyspace import NOW, Expires, RawTask


def withdrawal(until_ms: int) -> WithdrawClaim:
    return WithdrawClaim(task="t", schedule="nightly", claimed_until_ms=until_ms)


@pytest.mark.parametrize("left_ms", [30_000, 86_400_000])
def test_a_claim_is_withdrawn_until_it_is_over(task: RawTask, left_ms: int) -> None:
    for _ in range(2):
        assert task.run(withdrawal(NOW + left_ms))
        key = f"occurrences:nightly:withdrawn:{NOW + left_ms}"
        assert task.dump() == {key: Expires("1")}
        assert left_ms - 20_000 < task.lifetime_ms(key) <= left_ms + 1


def test_one_that_is_over_leaves_nothing_behind(task: RawTask) -> None:
    assert not task.run(withdrawal(NOW - 1))
    assert task.dump() == {}
