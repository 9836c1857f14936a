"""Failed attempts, for whoever reads the log."""

import logging
from typing import Any, Final

from taskora.wire import Outcome, OutcomeKind
from taskora.worker._attempt import Attempt
from taskora.worker._implementation import Implementation
from taskora.worker._listeners import Listeners

logger = logging.getLogger("taskora.worker")


class FailureLog:
    """Logs failures until somebody listens to them."""

    def __init__(self, listeners: Listeners) -> None:
        self._listeners: Final = listeners

    def __call__(self, attempt: Attempt, outcome: Outcome, implementation: Implementation[Any, Any]) -> None:
        """An attempt failed, and this is stored."""
        if self._listeners.hear_failures(implementation.task):
            return
        claim = attempt.claim
        text = bytes(outcome.payload).decode("utf-8", "replace")
        again = ", will retry" if outcome.kind is OutcomeKind.RETRYING else ""
        logger.error(
            "task %s job %s failed (attempt %d/%d%s): %s",
            implementation.task, claim.job_id, claim.attempt, implementation.retry.attempts, again, text,
            exc_info=attempt.error,
            extra={"task": implementation.task, "job": claim.job_id, "attempt": claim.attempt},
        )  # fmt: skip
