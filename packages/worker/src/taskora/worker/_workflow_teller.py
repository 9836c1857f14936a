"""Tells workflows of the jobs that a lane has settled, and enqueues what comes next."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from taskora.contracts import BackendError, JobState
from taskora.wire import (
    Backend,
    EndedStep,
    Flow,
    Outcome,
    OutcomeKind,
    Settlement,
    StepLink,
    drive_async,
    settle_steps,
    sweep_untold,
)

logger = logging.getLogger("taskora.worker")

_LONGEST_PAUSE: Final = 5.0
# A lane that has to stop, and whose server does not answer, leaves the rest to those who sweep.
_LAST_TRIES: Final = 5
_FINAL: Final = {
    OutcomeKind.COMPLETED: JobState.COMPLETED,
    OutcomeKind.FAILED: JobState.FAILED,
    OutcomeKind.CANCELLED: JobState.CANCELLED,
}


class WorkflowTeller:
    """One per lane. Ends of jobs of one workflow that come while it is being told leave together.

    Nothing here is lost with the process: a job that ended stays noted until its workflow knows.
    """

    def __init__(
        self,
        backend: Backend,
        task: str,
        *,
        on_done: Callable[[], None],
        on_trouble: Callable[[BaseException], None],
    ) -> None:
        self._backend: Final = backend
        self._task: Final = task
        self._on_done: Final = on_done
        self._on_trouble: Final = on_trouble
        self._untold: Final[dict[str, list[EndedStep]]] = {}
        self._telling: Final[set[asyncio.Task[None]]] = set()
        self._stopping = False

    @property
    def busy(self) -> bool:
        """Whether a workflow is still to be told of something."""
        return bool(self._telling)

    def note(self, link: StepLink, outcome: Outcome, settlement: Settlement) -> None:
        """Takes an outcome that was stored."""
        state = _FINAL.get(outcome.kind)
        if state is None or settlement is Settlement.LOST:
            return
        if settlement is Settlement.REPEATED:  # stored by an earlier call, or by somebody else: the notes know
            self._start(self._keep_trying(partial(sweep_untold, self._task, 0)))
            return
        is_result = state is JobState.COMPLETED
        step = EndedStep(
            task=self._task,
            job_id=outcome.job_id,
            link=link,
            state=state,
            result=outcome.payload if is_result else b"",
            error="" if is_result else outcome.payload.decode("utf-8", "backslashreplace"),
        )
        waiting = self._untold.get(link.workflow_id)
        if waiting is None:
            self._untold[link.workflow_id] = [step]
            self._start(self._tell(link.workflow_id))
        else:
            waiting.append(step)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        telling = asyncio.get_running_loop().create_task(work, name=f"workflow_teller:{self._task}")
        self._telling.add(telling)
        telling.add_done_callback(self._end)

    def _end(self, telling: "asyncio.Task[None]") -> None:
        self._telling.discard(telling)
        if not telling.cancelled() and telling.exception() is not None:
            logger.error("workflow_not_told", exc_info=telling.exception(), extra={"task": self._task})
        self._on_done()

    async def _tell(self, workflow_id: str) -> None:
        try:
            while steps := self._untold[workflow_id]:
                self._untold[workflow_id] = []
                await self._keep_trying(partial(settle_steps, steps))
        finally:
            del self._untold[workflow_id]

    async def _keep_trying(self, flow: Callable[[], Flow[Any]]) -> None:
        failures = 0
        while True:
            try:
                await drive_async(flow(), self._backend.run)
            except BackendError as error:
                failures += 1
                logger.warning("workflow_not_told", extra={"task": self._task, "error": str(error)})
                self._on_trouble(error)
                if self._stopping and failures > _LAST_TRIES:
                    return
                await asyncio.sleep(min(_LONGEST_PAUSE, 0.1 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0))
            else:
                return

    async def flush(self) -> None:
        """Waits until nothing is left to be told."""
        while self._telling:
            await asyncio.wait(self._telling)

    def stop(self) -> None:
        """From now on a server that does not answer is given up after some tries."""
        self._stopping = True

    def close(self) -> None:
        """Leaves the rest to others."""
        for telling in self._telling:
            telling.cancel()
