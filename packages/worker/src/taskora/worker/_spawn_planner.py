"""Writes what a step has spawned into the graph of its workflow, before the result of the step is stored."""

import asyncio
import logging
from typing import Any, Final

from taskora.contracts import BackendError, UsageError
from taskora.wire import Backend, Outcome, drive_async, spawn_steps
from taskora.worker import _outcomes
from taskora.worker._attempt import Attempt
from taskora.worker._implementation import Implementation
from taskora.worker._spawning import decode_spawned

logger = logging.getLogger("taskora.worker")

_PAUSE: Final = 0.5


class SpawnPlanner:
    """Plans only: the steps start when the workflow hears of the result. Planning again replaces what was planned."""

    def __init__(self, backend: Backend) -> None:
        self._backend: Final = backend

    async def plan(self, attempt: Attempt, outcome: Outcome, implementation: Implementation[Any, Any]) -> Outcome:
        """The outcome of the attempt: as it was, or a failure if the workflow would become too large."""
        claim = attempt.claim
        if claim.link is None:
            return outcome
        spawned = [decode_spawned(payload) for payload in attempt.spawned]
        while True:
            try:
                await drive_async(spawn_steps(claim.link, claim.job_id, spawned), self._backend.run)
            except BackendError as error:
                about = {"task": implementation.task, "job": claim.job_id, "error": str(error)}
                logger.warning("spawned_steps_not_planned", extra=about)
                await asyncio.sleep(_PAUSE)
            except UsageError as error:
                return _outcomes.failed(claim, error, implementation)
            else:
                return outcome
