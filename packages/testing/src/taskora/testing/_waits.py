"""Who waits for which jobs: a handler that does nothing but wait for another job must not hold up the time."""

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

from taskora.wire import ReadStatuses, SyncBackend
from taskora.worker import CallNext, Context

# Set while a runner works, in everything that it starts.
working: Final[ContextVar[bool]] = ContextVar("taskora_runner_works", default=False)
_attempt: ContextVar[Context | None] = ContextVar("taskora_runner_attempt", default=None)


async def mark_attempt(ctx: Context, call_next: CallNext) -> None:
    """The outermost middleware: what a handler does is known to be done by its attempt."""
    token = _attempt.set(ctx)
    try:
        await call_next()
    finally:
        _attempt.reset(token)


class Waits:
    """The waits of attempts that run, and of the test itself.

    Args:
        reader: Says whether a job has ended.
        notify: Called when an attempt begins or ends to wait.
        process: Called when somebody waits who is no handler: nobody else would run the job.
    """

    def __init__(
        self, reader: SyncBackend, notify: Callable[[], None], process: Callable[[], Awaitable[object]]
    ) -> None:
        self._reader: Final = reader
        self._notify: Final = notify
        self._process: Final = process
        self._jobs: Final[dict[Context, Counter[tuple[str, str]]]] = {}

    @asynccontextmanager
    async def waiting_for(self, task: str, job_id: str) -> AsyncGenerator[None]:
        """Somebody waits for a job, in this context."""
        attempt = _attempt.get()
        if attempt is None:
            if not working.get():
                await self._process()
            yield
            return
        self._jobs.setdefault(attempt, Counter())[task, job_id] += 1
        self._notify()
        try:
            yield
        finally:
            self._forget(attempt, (task, job_id))
            self._notify()

    def _forget(self, attempt: Context, job: tuple[str, str]) -> None:
        jobs = self._jobs[attempt]
        jobs[job] -= 1
        if not jobs[job]:
            del jobs[job]
        if not jobs:
            del self._jobs[attempt]

    def blocked(self) -> int:
        """How many attempts can only go on when another job has ended."""
        return sum(all(self._runs(*job) for job in jobs) for jobs in self._jobs.values())

    def _runs(self, task: str, job_id: str) -> bool:
        (status,) = self._reader.run(ReadStatuses(task=task, job_ids=(job_id,)))
        return status is not None and not status.state.is_terminal
