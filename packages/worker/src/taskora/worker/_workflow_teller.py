"""Tells workflows of the jobs that a lane has settled, or that nobody told of, and enqueues what comes next."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from taskora.contracts import BackendError, JobState
from taskora.wire import (
    UNTOLD_AT_ONCE,
    Backend,
    EndedStep,
    NotTold,
    Outcome,
    OutcomeKind,
    ReadUntold,
    Settlement,
    StepLink,
    drive_async,
    ends_by_workflow,
    has_to_tell,
    may_pass,
    pause_after,
    postpone_telling,
    settle_steps,
    settle_workflow,
)
from taskora.worker._workflow_troubles import WorkflowTroubles

logger = logging.getLogger("taskora.worker")

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
# Then the notes are left to the sweeps, which find them again.
_TRIES: Final = 8
_LAST_TRIES: Final = 4
_FINAL: Final = {
    OutcomeKind.COMPLETED: JobState.COMPLETED,
    OutcomeKind.FAILED: JobState.FAILED,
    OutcomeKind.CANCELLED: JobState.CANCELLED,
}


class WorkflowTeller:
    """One per lane. Ends of jobs of one workflow that come while it is being told leave together.

    Each workflow is told by itself, so that none has to wait for another. Nothing here is lost with the process: a job
    that ended stays noted until its workflow knows.
    """

    def __init__(
        self,
        backend: Backend,
        task: str,
        *,
        on_done: Callable[[], None],
        on_trouble: Callable[[BaseException], None],
        troubles: WorkflowTroubles,
    ) -> None:
        self.task: Final = task
        self._backend: Final = backend
        self._on_done: Final = on_done
        self._on_trouble: Final = on_trouble
        self._troubles: Final = troubles
        self._untold: Final[dict[str, list[EndedStep]]] = {}
        self._telling: Final[set[asyncio.Task[None]]] = set()
        self._wanted_ms: int | None = None  # what the sweep that is under way looks for
        self._sweep_again = False
        self._is_stopping = False
        self._seen_at: float | None = None
        self.has_more = False

    @property
    def busy(self) -> bool:
        """Whether a workflow is still to be told of something."""
        return bool(self._telling)

    @property
    def seen_at(self) -> float | None:
        """When this worker last met a step of a workflow, by the clock of the event loop; None if it never did."""
        return self._seen_at

    def see(self) -> None:
        """A step of a workflow is here, or was."""
        self._seen_at = asyncio.get_running_loop().time()

    def note(self, link: StepLink, outcome: Outcome, settlement: Settlement) -> None:
        """Takes an outcome that was stored."""
        state = _FINAL.get(outcome.kind)
        if state is None or settlement is Settlement.LOST:
            return
        if settlement is Settlement.REPEATED:  # stored by an earlier call, or by somebody else: the notes know
            self.sweep(0)
            return
        is_result = state is JobState.COMPLETED
        step = EndedStep(
            task=self.task,
            job_id=outcome.job_id,
            link=link,
            state=state,
            result=outcome.payload if is_result else b"",
            error="" if is_result else outcome.payload.decode("utf-8", "backslashreplace"),
            settled_by=outcome.token,
        )
        self._tell_of(link.workflow_id, [step])

    def _tell_of(self, workflow_id: str, steps: Iterable[EndedStep]) -> None:
        waiting = self._untold.get(workflow_id)
        if waiting is None:
            self._untold[workflow_id] = [*steps]
            self._start(self._tell(workflow_id))
        else:
            waiting.extend(steps)

    def sweep(self, min_age_ms: int) -> None:
        """Looks for jobs that ended at least so long ago and that nobody told of, and begins to tell of them."""
        if self._is_stopping and min_age_ms:
            return
        is_sweeping = self._wanted_ms is not None
        self._wanted_ms = min_age_ms if self._wanted_ms is None else min(min_age_ms, self._wanted_ms)
        if is_sweeping:  # it may be past what is looked for now
            self._sweep_again = True
        else:
            self._start(self._sweep())

    async def _sweep(self) -> None:
        try:
            while self._wanted_ms is not None:
                self._sweep_again = False
                await self._sweep_once(self._wanted_ms)
                if not self._sweep_again:
                    return
        except Exception as error:
            unforeseen = None if isinstance(error, BackendError) else error
            logger.warning("untold_not_swept", exc_info=unforeseen, extra={"task": self.task, "error": str(error)})
            self._on_trouble(error)
        finally:
            self._wanted_ms = None

    async def _sweep_once(self, min_age_ms: int) -> None:
        self.has_more = False
        ended = await self._backend.run(ReadUntold(task=self.task, min_age_ms=min_age_ms, limit=UNTOLD_AT_ONCE))
        if ended:
            await drive_async(settle_steps([step for step in ended if not has_to_tell(step)]), self._backend.run)
        self.has_more = len(ended) == UNTOLD_AT_ONCE
        for workflow_id, steps in ends_by_workflow(ended).items():
            self.see()
            if workflow_id not in self._untold:  # or else it is being told, of these as well
                self._tell_of(workflow_id, steps)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        telling = asyncio.get_running_loop().create_task(work, name=f"workflow_teller:{self.task}")
        self._telling.add(telling)
        telling.add_done_callback(self._end)

    def _end(self, telling: "asyncio.Task[None]") -> None:
        self._telling.discard(telling)
        if not telling.cancelled() and telling.exception() is not None:
            logger.error("workflow_not_told", exc_info=telling.exception(), extra={"task": self.task})
        self._on_done()

    async def _tell(self, workflow_id: str) -> None:
        try:
            while steps := self._untold[workflow_id]:
                self._untold[workflow_id] = []
                await self._settle(workflow_id, steps)
        finally:
            del self._untold[workflow_id]

    async def _settle(self, workflow_id: str, steps: list[EndedStep]) -> None:
        failures = 0
        while True:
            try:
                await drive_async(settle_workflow(workflow_id, steps), self._backend.run)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the note remains, and others go on
                failures += 1
                self._on_trouble(error)
                if failures >= (_LAST_TRIES if self._is_stopping else _TRIES) or not may_pass(error):
                    await self._put_off(NotTold(workflow_id=workflow_id, steps=tuple(steps), error=error))
                    return
                await asyncio.sleep(pause_after(failures, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE))
            else:
                return

    async def _put_off(self, not_told: NotTold) -> None:
        self._troubles.note("workflow_not_told", not_told.workflow_id, not_told.error)
        try:
            given_up = await drive_async(postpone_telling(not_told), self._backend.run)
        except Exception as error:
            unforeseen = None if isinstance(error, BackendError) else error
            about = {"task": self.task, "workflow": not_told.workflow_id, "error": str(error)}
            logger.warning("workflow_not_postponed", exc_info=unforeseen, extra=about)
            return
        if given_up:
            self._troubles.give_up(not_told.workflow_id, given_up)

    async def flush(self) -> None:
        """Waits until nothing is left to be told."""
        while self._telling:
            await asyncio.wait(self._telling)

    def stop(self) -> None:
        """From now on only what is known already is told."""
        self._is_stopping = True

    def close(self) -> None:
        """Leaves the rest to others."""
        for telling in self._telling:
            telling.cancel()
