"""Who waits for which jobs: a handler that does nothing but wait for another job must not hold up the time."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Final, Protocol

from taskora.contracts import UsageError
from taskora.wire import ReadStatuses, ReadWorkflow, SyncBackend
from taskora.worker import CallNext, Context

# Set while a runner works, in everything that it starts.
working: Final[ContextVar[bool]] = ContextVar("taskora_runner_works", default=False)
# Set while a runner calls listeners.
telling: Final[ContextVar[bool]] = ContextVar("taskora_runner_tells", default=False)
_attempt: ContextVar[Context | None] = ContextVar("taskora_runner_attempt", default=None)


@contextmanager
def at_work() -> Generator[None]:
    """A runner works, in this context; what it starts is not done by the attempt for which it may do so."""
    is_working, attempt = working.set(True), _attempt.set(None)
    try:
        yield
    finally:
        _attempt.reset(attempt)
        working.reset(is_working)


class Process(Protocol):
    """Makes the runner work for somebody who waits for a job."""

    async def __call__(self, task: str, job_id: str, *, until_it_ends: bool) -> None:
        """Runs what is ready; lets the time go on until the job has ended, if that is wanted."""
        ...


class Waits:
    """The waits of attempts that run, and of the test itself.

    Args:
        reader: Says whether a job has ended.
        notify: Called when an attempt begins or ends to wait.
        process: Called when somebody waits while the runner does nothing: nobody else would run the job.
    """

    def __init__(self, reader: SyncBackend, notify: Callable[[], None], process: Process) -> None:
        self._reader: Final = reader
        self._notify: Final = notify
        self._process: Final = process
        self._running: Final[dict[Context, Counter[tuple[str, str]]]] = {}

    async def mark_attempt(self, ctx: Context, call_next: CallNext) -> None:
        """The outermost middleware: what a handler does is known to be done by its attempt."""
        token = _attempt.set(ctx)
        self._running[ctx] = Counter()
        try:
            await call_next()
        finally:
            del self._running[ctx]
            _attempt.reset(token)

    @asynccontextmanager
    async def waiting_for(self, task: str, job_id: str) -> AsyncGenerator[None]:
        """Somebody waits for a job, or for a workflow whose end is told in the events of a task, in this context."""
        if telling.get():
            raise UsageError("in a runner a listener cannot wait for a job: dispatch it, and return")
        attempt = _attempt.get()
        jobs = None if attempt is None else self._running.get(attempt)
        if not working.get():
            await self._process(task, job_id, until_it_ends=jobs is not None)
        if jobs is None:  # the test, a cancel hook, or what a handler left running
            yield
            return
        jobs[task, job_id] += 1
        self._notify()
        try:
            yield
        finally:
            jobs[task, job_id] -= 1
            self._notify()

    def blocked(self) -> int:
        """How many attempts can only go on when another job has ended."""
        return sum(self._is_blocked(+jobs) for jobs in self._running.values())

    def _is_blocked(self, jobs: Counter[tuple[str, str]]) -> bool:
        return bool(jobs) and all(self._runs(*job) for job in jobs)

    def _runs(self, task: str, job_id: str) -> bool:
        (status,) = self._reader.run(ReadStatuses(task=task, job_ids=(job_id,)))
        if status is not None:
            return not status.state.is_terminal
        workflow = self._reader.run(ReadWorkflow(workflow_id=job_id, names=("state",)))
        return workflow.values.get("state") == b"running"
