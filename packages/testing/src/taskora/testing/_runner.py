"""The runner: a worker, a storage in memory, and a time of their own."""

import uuid
from datetime import datetime
from typing import Any, ClassVar, Final, Self, TypeAlias, TypeVar, Unpack, cast, overload

from taskora.contracts import (
    CollectingContract,
    Duration,
    JobState,
    TaskContract,
    UsageError,
    is_contract,
    to_milliseconds,
)
from taskora.producer import (
    AsyncBoundTask,
    AsyncDeadLetters,
    AsyncInspector,
    AsyncJobHandle,
    AsyncProducer,
    DispatchOptions,
    JobInfo,
    Producer,
)
from taskora.testing._backend import ObservedBackend
from taskora.testing._clock import VirtualClock
from taskora.testing._clock import instant as instant_of
from taskora.testing._executing import execution_of
from taskora.testing._looking import job_infos, parked_jobs
from taskora.testing._pump import Pump
from taskora.testing._reports import Execution, ProcessReport, Step
from taskora.testing._stage import Stage
from taskora.wire import Exchange, ListJobs, drive, read_jobs
from taskora.worker import Implementation, Worker

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output

Task: TypeAlias = TaskContract[I, O] | AsyncBoundTask[I, O]

_DEFAULT_MOST: Final = 5_000
_ALL: Final = 1_000_000


class TestRunner:
    """Runs the jobs of a worker in memory, when it is told to, in a time that stands still until it is moved.

    The worker is borrowed: from now until `close`, everything that is dispatched through it, by handlers or by the
    code under test, goes into the memory of the runner. Nothing is patched. Afterwards the worker is as it was before.

    Use it as a context manager, `async with` or `with`; or call `close`, or `dispose` where there is no event loop.

    Args:
        worker: Any worker that does not run; by default one of the runner's own, to implement contracts on.
        start: Where its time begins, with a time zone; by default now.
        clock: A clock to share, instead of `start`.
        max_jobs: How many jobs may run while the time stands still, before it is taken for a loop without end.

    Attributes:
        clock: The time of the runner.
        worker: The worker.
    """

    __test__: ClassVar[bool] = False  # pytest takes classes of such names for tests

    def __init__(
        self,
        worker: Worker | None = None,
        *,
        start: datetime | None = None,
        clock: VirtualClock | None = None,
        max_jobs: int = _DEFAULT_MOST,
    ) -> None:
        if start is not None and clock is not None:
            raise UsageError("give a runner either start= or clock=")
        self.clock: Final = clock or VirtualClock(start)
        self._stage: Final = Stage(worker, self.clock, most=max_jobs)
        self.worker: Final = self._stage.worker

    # Dispatching.

    @property
    def backend(self) -> ObservedBackend:
        """Where the jobs are: for producers of the code under test."""
        return self._stage.backend

    @property
    def producer(self) -> AsyncProducer:
        """A producer of the runner's own, next to that of its worker."""
        return self._stage.producer

    @property
    def sync_producer(self) -> Producer:
        """A synchronous producer. Waiting for results needs another thread that makes the runner work."""
        self._stage.check_open()
        return Producer(self._stage.own_backend.blocking(), serializer=self._stage.loan.declared.serializer)

    async def dispatch(self, task: Task[I, O], data: I, **options: Unpack[DispatchOptions]) -> AsyncJobHandle[O]:
        """Enqueues a job, as `dispatch` of a bound task does; nothing runs before `process_all` or `advance_time`."""
        bound = cast("AsyncBoundTask[I, O]", self._stage.bound(_contract_of(task)))
        return await bound.dispatch(data, **options)

    # Running.

    @overload
    async def run(self, task: CollectingContract[I, O], data: "list[I]") -> O: ...
    @overload
    async def run(self, task: Task[I, O], data: I) -> O: ...
    async def run(self, task: Task[Any, O], data: object) -> O:
        """Calls a handler with its middleware, without a job; again at once as long as its retry policy says so.

        What it dispatches waits for `process_all`. A task that collects takes a list of inputs, or one.

        Raises:
            UsageError: the worker does not implement the task.
            ValidationError: the data, or the result, does not fit the contract.
            Exception: what the handler raised at last.
        """
        contract = _contract_of(task)
        rehearsal = await self._stage.rehearsal()
        return cast("O", await rehearsal.call(self._implementation(contract), data))

    async def execute(self, task: Task[I, O], data: I, **options: Unpack[DispatchOptions]) -> Execution[O]:
        """Dispatches a job, and lets everything happen until it has ended; the time goes on as far as that needs.

        It stops early when the job cannot run, or nothing is due any more. How the job ended is told, never raised.

        Raises:
            UsageError: the worker does not implement the task.
            ValidationError: the data does not fit the contract.
            ThrottledError, DuplicateJobError: flow control rejected the job.
        """
        contract = _contract_of(task)
        implementation = self._implementation(contract)
        if implementation.contract.collect is None:
            options.setdefault("raise_on_reject", True)
        handle = await self.dispatch(task, data, **options)
        await self._stage.finish(implementation, handle.id)
        return execution_of(self._stage, implementation, handle)

    async def process_all(self) -> ProcessReport:
        """Runs everything that is ready now, and what that makes ready; the time stands still.

        Returns when nothing is left that could run: jobs that are ready and cannot run are reported as parked.

        Raises:
            UsageError: called by a handler, or jobs make jobs without end.
        """
        begin = len(self._stage.journal.steps)
        pump = await self._stage.pump()
        await pump.settle()
        return await self._report(begin, pump)

    async def advance_time(self, duration: Duration) -> ProcessReport:
        """Lets time pass: goes from each instant at which something is due to the next, and runs what is ready then.

        Raises:
            UsageError: called by a handler, or jobs make jobs without end.
        """
        return await self._advance_to(
            self.clock.now_ms() + to_milliseconds(duration, field="duration", allow_zero=True)
        )

    async def advance_to(self, instant: datetime) -> ProcessReport:
        """Lets time pass until an instant, which has a time zone; does nothing but `process_all` if it has passed."""
        return await self._advance_to(VirtualClock(instant).now_ms())

    async def _advance_to(self, until_ms: int) -> ProcessReport:
        begin = len(self._stage.journal.steps)
        pump = await self._stage.pump()
        await pump.advance(until_ms)
        return await self._report(begin, pump)

    async def flush(self, task: Task[Any, Any], key: str) -> ProcessReport:
        """Runs what has gathered under a key, without waiting for more.

        Raises:
            UsageError: the task does not collect.
        """
        contract = self._stage.bound(_contract_of(task)).contract
        if contract.collect is None:
            raise UsageError(f"task {contract.name!r} does not collect: there is nothing to flush")
        listing = ListJobs(task=contract.name, state=JobState.DELAYED, limit=_ALL)
        for record in drive(read_jobs(listing), self._stage.reader.run):
            if record.fields.get("collectKey") == key.encode():
                self._stage.memory.make_due(contract.name, record.job_id)
        return await self.process_all()

    async def crash(self, task: Task[Any, Any]) -> str:
        """Claims the next ready job like a worker that dies at once, and is never heard of again; returns its id.

        When its lease has run out, sweeps for stalled jobs find it, as the contract's `stall` says.

        Raises:
            UsageError: no job is ready.
        """
        name = _contract_of(task).name
        lease_ms = self._stage.loan.declared.lease_ms
        operation = Exchange(task=name, token=str(uuid.uuid4()), lease_ms=lease_ms, slots=1)
        reply = await self.backend.run(operation)
        if not reply.claims:
            raise UsageError(f"no job of task {name!r} is ready: dispatch one first")
        return reply.claims[0].job_id

    def _implementation(self, contract: TaskContract[Any, Any]) -> Implementation[Any, Any]:
        self._stage.check_open()
        implementations = self._stage.loan.declared.implementations
        if contract.name not in implementations:
            known = ", ".join(implementations) or "none"
            raise UsageError(f"task {contract.name!r} is not implemented by the worker of this runner, only: {known}")
        return implementations[contract.name]

    async def _report(self, begin: int, pump: Pump) -> ProcessReport:
        stage = self._stage
        due_ms = await pump.next_due_ms()
        return ProcessReport(
            processed=tuple(stage.journal.steps[begin:]),
            parked=tuple(parked_jobs(stage.reader, stage.loan.declared.implementations, stage.journal.tasks)),
            next_due=None if due_ms is None else instant_of(due_ms),
        )

    # Looking.

    @property
    def now(self) -> datetime:
        """The time of the runner, in UTC."""
        return self.clock.now

    @property
    def jobs(self) -> list[JobInfo]:
        """All jobs of all tasks that retention has left, in the order in which they were dispatched."""
        return job_infos(self._stage.reader, self._stage.loan.declared.serializer, self._stage.journal.jobs)

    @property
    def steps(self) -> list[Step]:
        """Everything that ended so far, in order."""
        return self._stage.journal.steps

    @property
    def inspector(self) -> AsyncInspector:
        """Looks at jobs."""
        return self.producer.inspector

    @property
    def dead_letters(self) -> AsyncDeadLetters:
        """The jobs that failed for good."""
        return self.producer.dead_letters

    # Ending.

    def clear(self) -> None:
        """Forgets jobs, workflows, flow control, schedules, steps and events; the time stays where it is.

        The runner is then as a new one at this time: schedules that the worker declares begin now, others are gone.

        Raises:
            UsageError: handlers run.
        """
        self._stage.clear()

    async def close(self) -> None:
        """Stops what runs, and gives the worker back. Closing twice is the same as once."""
        await self._stage.close()

    def dispose(self) -> None:
        """Gives the worker back at once, for tests without an event loop; tells no listener to `worker:closing`."""
        self._stage.drop()

    async def __aenter__(self) -> Self:
        await self._stage.pump()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.dispose()


def _contract_of(task: Task[I, O]) -> TaskContract[I, O]:
    contract = task.contract if isinstance(task, AsyncBoundTask) else task
    if not is_contract(contract):
        raise UsageError.for_field("task", task, "a contract, or a task that was declared with worker.task")
    return contract
