"""What is said of workflows that cannot be told, or looked at."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from taskora.wire import may_pass

logger = logging.getLogger("taskora.worker")

_REMEMBERED: Final = 10_000


class WorkflowTroubles:
    """Logs what will not pass once per workflow, whoever meets it again, and the rest as often as it happens."""

    def __init__(self) -> None:
        self._said: Final[OrderedDict[str, None]] = OrderedDict()

    def note(self, event: str, workflow_id: str, error: Exception) -> None:
        """Something could not be done for a workflow now."""
        about = {"workflow": workflow_id, "error": f"{type(error).__name__}: {error}"}
        if may_pass(error):
            logger.warning("%s: workflow %s, tried again later: %s", event, workflow_id, error, extra=about)
        elif not self._is_known(workflow_id):
            logger.error("%s: workflow %s is put off: %s", event, workflow_id, error, extra=about)

    def _is_known(self, workflow_id: str) -> bool:
        is_known = workflow_id in self._said
        self._said[workflow_id] = None
        self._said.move_to_end(workflow_id)
        if len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        return is_known

    def give_up(self, workflow_id: str, job_ids: Sequence[str]) -> None:
        """Nobody will tell a workflow of the ends of these jobs any more."""
        about = {"workflow": workflow_id, "jobs": list(job_ids)}
        logger.error(
            "workflow_given_up: workflow %s is not told of %d ends any more", workflow_id, len(job_ids), extra=about
        )
