"""What a worker does at instants of its own, for whoever moves the time by hand.

A running worker has a background role with a timer for each of these.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from taskora.wire import (
    Backend,
    Clock,
    CountJobs,
    ExtendLeases,
    LeaseState,
    ListWorkflows,
    ReadWorkflow,
    drive_async,
    read_workflow_status,
    time_out,
)
from taskora.worker._lane import Lane
from taskora.worker._stall_recoverer import StallRecoverer

_MOST_WORKFLOWS: Final = 10_000


class TimeSource(Protocol):
    """Something that becomes due. Instants are epoch milliseconds of the storage's clock."""

    async def next_due_ms(self) -> int | None:
        """The next instant at which `tick` has something to do; None when that is not known now."""
        ...

    async def tick(self) -> None:
        """Does what is due now. Afterwards `next_due_ms` is later than now, or None."""
        ...


class StallSweeps:
    """Sweeps one task as long as it has active jobs that nobody here runs: their worker is gone."""

    def __init__(
        self, backend: Backend, clock: Clock, lane: Lane, recoverer: StallRecoverer, *, begins_ms: int
    ) -> None:
        self._backend: Final = backend
        self._clock: Final = clock
        self._lane: Final = lane
        self._recoverer: Final = recoverer
        self._interval_ms: Final = max(1, round(recoverer.interval * 1000))
        self._last_ms = begins_ms

    async def next_due_ms(self) -> int | None:
        """The next of the instants that lie one interval apart, if there is anything to sweep."""
        counts = await self._backend.run(CountJobs(task=self._lane.task))
        if counts.active <= len(self._lane.attempts):
            return None
        passed = max(0, self._clock.now_ms() - self._last_ms) // self._interval_ms
        return self._last_ms + (passed + 1) * self._interval_ms

    async def tick(self) -> None:
        """Sweeps once."""
        self._last_ms = self._clock.now_ms()
        await self._recoverer.tick()


class LeaseRenewals:
    """Renews the leases of attempts that go on while the time does."""

    def __init__(self, backend: Backend, clock: Clock, lanes: Mapping[str, Lane], *, lease_ms: int) -> None:
        self._backend: Final = backend
        self._clock: Final = clock
        self._lanes: Final = lanes
        self._lease_ms: Final = lease_ms
        self._due_ms: int | None = None

    async def next_due_ms(self) -> int | None:
        """Three times within the lifetime of a lease, while any is held."""
        if not any(lane.attempts.running for lane in self._lanes.values()):
            self._due_ms = None
        elif self._due_ms is None:
            self._due_ms = self._clock.now_ms() + max(1, self._lease_ms // 3)
        return self._due_ms

    async def tick(self) -> None:
        """Renews every lease."""
        self._due_ms = None
        for task, lane in self._lanes.items():
            leases = lane.attempts.leases()
            if not leases:
                continue
            states = await self._backend.run(ExtendLeases(task=task, lease_ms=self._lease_ms, leases=leases))
            for lease, state in zip(leases, states, strict=True):
                if state is not LeaseState.HELD:
                    lane.attempts.lease_changed(lease, state)


class WorkflowDeadlines:
    """Ends workflows whose time is over."""

    def __init__(self, backend: Backend) -> None:
        self._backend: Final = backend

    async def next_due_ms(self) -> int | None:
        """The earliest end of those that run."""
        return min((deadline_ms for _, deadline_ms in await self._deadlines()), default=None)

    async def tick(self) -> None:
        """Ends what is overdue."""
        for workflow_id, _ in await self._deadlines():
            status = await drive_async(read_workflow_status(workflow_id), self._backend.run)
            if status is not None and status.is_overdue:
                await drive_async(time_out(workflow_id, status.workflow_try), self._backend.run)

    async def _deadlines(self) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for workflow_id in await self._backend.run(ListWorkflows(ended=False, offset=0, limit=_MOST_WORKFLOWS)):
            stored = await self._backend.run(ReadWorkflow(workflow_id=workflow_id, names=("state", "py:deadline")))
            if stored.values.get("state") == b"running" and "py:deadline" in stored.values:
                found.append((workflow_id, int(stored.values["py:deadline"])))
        return found
