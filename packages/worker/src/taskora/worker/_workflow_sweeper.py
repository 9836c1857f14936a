"""Finishes what others began for workflows, and ends those whose time is over."""

import asyncio
import random
from collections.abc import Iterable
from typing import Final

from taskora.wire import (
    DUE_AT_ONCE,
    FIRST_LOOK_MS,
    UNTOLD_AGE_MS,
    Backend,
    DueWorkflows,
    ListWorkflows,
    drive_async,
    look_at_workflow,
)
from taskora.worker._roles import end
from taskora.worker._workflow_teller import WorkflowTeller
from taskora.worker._workflow_troubles import WorkflowTroubles

_INTERVAL_SECONDS: Final = 1.0
# How many workflows are looked at side by side: one that takes long delays no other.
_MOST_LOOKS: Final = 100
_TICKS_BETWEEN_GLANCES: Final = 2
# How often notes of a task are looked for: where this worker meets steps of workflows, where it does not but some run,
# and where none runs. See the decision on what a sweep costs.
_MET_SECONDS: Final = 2.0
_SOME_RUN_SECONDS: Final = 10.0
_NONE_RUNS_SECONDS: Final = 60.0
_FIRST_SWEEP_SECONDS: Final = 0.02
# How long a task is one of which steps are met.
_MEMORY_SECONDS: Final = 300.0


class WorkflowSweeper:
    """Looks at workflows when their look is due, and for the jobs of this worker's tasks that nobody told of.

    Any number of workers may do so at once. A tick begins what is due, and waits for none of it.
    """

    name = "workflow_sweeper"
    interval = _INTERVAL_SECONDS

    def __init__(self, backend: Backend, tellers: Iterable[WorkflowTeller], troubles: WorkflowTroubles) -> None:
        self._backend: Final = backend
        self._troubles: Final = troubles
        tellers = [*tellers]
        # Many tasks are not swept at once, neither now nor later.
        spread = min(_SOME_RUN_SECONDS, _FIRST_SWEEP_SECONDS * len(tellers))
        first = asyncio.get_running_loop().time() - _SOME_RUN_SECONDS
        self._swept_at: Final = {teller: first + random.uniform(0, spread) for teller in tellers}
        self._looks: Final[dict[str, asyncio.Task[None]]] = {}
        self._some_run = True
        self._ticks = 0

    async def tick(self) -> None:
        """Begins what is due."""
        now = asyncio.get_running_loop().time()
        for teller, swept_at in self._swept_at.items():
            if teller.has_more or now - swept_at >= self._pause(teller, now):
                self._swept_at[teller] = now
                teller.sweep(UNTOLD_AGE_MS)
        await self._look()

    def _pause(self, teller: WorkflowTeller, now: float) -> float:
        if teller.seen_at is not None and now - teller.seen_at < _MEMORY_SECONDS:
            return _MET_SECONDS
        return _SOME_RUN_SECONDS if self._some_run else _NONE_RUNS_SECONDS

    async def _look(self) -> None:
        self._ticks += 1
        if self._ticks % _TICKS_BETWEEN_GLANCES == 0:
            self._some_run = bool(await self._backend.run(ListWorkflows(ended=False, offset=0, limit=1)))
        free = _MOST_LOOKS - len(self._looks)
        while self._some_run and free > 0:
            limit = min(free, DUE_AT_ONCE)
            due = await self._backend.run(DueWorkflows(limit=limit, again_ms=FIRST_LOOK_MS))
            for workflow_id in due.workflow_ids:
                self._begin(workflow_id, due.again_at_ms)
            free = _MOST_LOOKS - len(self._looks)
            if len(due.workflow_ids) < limit:
                return

    def _begin(self, workflow_id: str, look_at_ms: int) -> None:
        if workflow_id in self._looks:
            return
        look = asyncio.get_running_loop().create_task(
            self._look_at(workflow_id, look_at_ms), name=f"look_at:{workflow_id}"
        )
        self._looks[workflow_id] = look
        look.add_done_callback(lambda _: self._looks.pop(workflow_id, None))

    async def _look_at(self, workflow_id: str, look_at_ms: int) -> None:
        try:
            unrepaired = await drive_async(look_at_workflow(workflow_id, look_at_ms), self._backend.run)
        except Exception as error:  # noqa: BLE001 - it is due again soon
            self._troubles.note("workflow_not_repaired", workflow_id, error)
            return
        if unrepaired is not None:
            self._troubles.note("workflow_not_repaired", workflow_id, unrepaired.error)

    async def close(self) -> None:
        """Leaves what was begun to others."""
        await end([*self._looks.values()])
