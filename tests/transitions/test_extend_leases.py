"""extend_leases: active -> active."""

from taskora.wire import ExtendLeases, Lease, LeaseState
from tests.transitions.keyspace import NOW, Expires, RawTask, job


def extend(*job_ids: str, lease_ms: int = 90_000) -> ExtendLeases:
    leases = [Lease(job_id=job_id, token="tok-1") for job_id in job_ids]
    return ExtendLeases(task="t", lease_ms=lease_ms, leases=leases)


def test_a_lease_that_is_held_lasts_longer_and_is_beyond_suspicion(task: RawTask) -> None:
    task.seed({"j1": job("active"), "j1:lock": Expires("tok-1"), "active": ["j1"], "stalled": {"j1", "j2"}})
    assert task.run(extend("j1")) == (LeaseState.HELD,)
    assert task.dump() == {"j1": job("active"), "j1:lock": Expires("tok-1"), "active": ["j1"], "stalled": {"j2"}}
    assert 60_000 < task.lifetime_ms("j1:lock") <= 90_000


def test_a_lease_may_be_made_shorter(task: RawTask) -> None:
    task.seed({"j1": job("active"), "j1:lock": Expires("tok-1"), "active": ["j1"]})
    task.run(extend("j1", lease_ms=5000))
    assert task.lifetime_ms("j1:lock") <= 5000


def test_a_cancellation_is_told_and_the_lease_extended(task: RawTask) -> None:
    task.seed({"j1": job("active", cancelledAt=NOW), "j1:lock": Expires("tok-1"), "active": ["j1"]})
    assert task.run(extend("j1")) == (LeaseState.CANCEL_REQUESTED,)
    assert task.lifetime_ms("j1:lock") > 60_000


def test_a_lease_of_somebody_else_is_left_alone(task: RawTask) -> None:
    task.seed({"j1": job("active"), "j1:lock": Expires("tok-2"), "active": ["j1"], "stalled": {"j1"}})
    before = task.dump()
    assert task.run(extend("j1")) == (LeaseState.LOST,)
    assert task.dump() == before
    assert task.lifetime_ms("j1:lock") <= 60_000


def test_a_lease_that_ran_out_is_not_taken_again(task: RawTask) -> None:
    task.seed({"j1": job("active"), "active": ["j1"], "stalled": {"j1"}})
    before = task.dump()
    assert task.run(extend("j1")) == (LeaseState.LOST,)
    assert task.dump() == before


def test_states_come_in_the_order_of_the_leases(task: RawTask) -> None:
    task.seed(
        {
            "a": job("active"),
            "a:lock": Expires("tok-1"),
            "c": job("active", cancelledAt=NOW),
            "c:lock": Expires("tok-1"),
            "active": ["c", "a"],
        }
    )
    expected = (LeaseState.CANCEL_REQUESTED, LeaseState.LOST, LeaseState.HELD)
    assert task.run(extend("c", "gone", "a")) == expected


def test_extending_twice_is_extending_once(task: RawTask) -> None:
    task.seed({"j1": job("active"), "j1:lock": Expires("tok-1"), "active": ["j1"]})
    request = extend("j1")
    task.run(request)
    before = task.dump()
    assert task.run(request.again()) == (LeaseState.HELD,)
    assert task.dump() == before


def test_no_leases_need_nothing(task: RawTask) -> None:
    assert task.run(extend()) == ()
