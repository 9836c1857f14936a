"""Renewing the right to run a job."""

import pytest

from taskora.contracts import BackendError
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import LEASE_MS, TASK, Subject, completed
from taskora.wire import Cancel, ExtendLeases, Lease, LeaseState, RecoverStalled


def extending(*leases: tuple[str, str]) -> ExtendLeases:
    return ExtendLeases(
        task=TASK, lease_ms=LEASE_MS, leases=[Lease(job_id=job_id, token=token) for job_id, token in leases]
    )


class TestLeases(Cases):
    """Renewing the right to run a job."""

    async def test_each_lease_of_a_batch_has_its_own_reply(self, subject: Subject) -> None:
        await subject.claim("held", "lost", "flagged", token="T")
        subject.tricks.lose_lease(TASK, "lost")
        await subject.run(Cancel(task=TASK, job_id="flagged"))
        leases = [("held", "T"), ("lost", "T"), ("flagged", "T"), ("held", "foreign"), ("unknown", "T")]
        assert await subject.run(extending(*leases)) == (
            LeaseState.HELD,
            LeaseState.LOST,
            LeaseState.CANCEL_REQUESTED,
            LeaseState.LOST,
            LeaseState.LOST,
        )

    async def test_a_settled_job_has_no_lease_to_renew(self, subject: Subject) -> None:
        await subject.claim("a")
        await subject.settle(completed("a"))
        assert await subject.run(extending(("a", "T"))) == (LeaseState.LOST,)

    async def test_renewing_makes_no_events(self, subject: Subject) -> None:
        await subject.claim("a")
        before = await subject.events()
        await subject.run(extending(("a", "T")))
        assert await subject.events() == before

    async def test_a_renewed_job_needs_two_more_sweeps_to_be_recovered(self, subject: Subject) -> None:
        await subject.claim("a")
        sweep = RecoverStalled(task=TASK, max_count=3)
        await subject.run(sweep)
        await subject.run(extending(("a", "T")))
        subject.tricks.lose_lease(TASK, "a")
        assert (await subject.run(sweep)).recovered == ()
        assert (await subject.run(sweep)).recovered == ("a",)

    @pytest.mark.parametrize("lease_ms", [0, -1])
    async def test_a_lease_without_a_lifetime_is_refused_before_any_claim(
        self, subject: Subject, lease_ms: int
    ) -> None:
        await subject.enqueue("a")
        with pytest.raises(BackendError, match="lease_ms must be at least 1"):
            await subject.exchange(slots=1, lease_ms=lease_ms)
        assert await subject.events() == ["waiting a"]
