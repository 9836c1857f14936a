"""Workers: where contracts meet handlers."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Self, TypeVar, Unpack, cast, overload

from taskora.contracts import (
    Collect,
    CollectingContract,
    Duration,
    ScheduleOptions,
    TaskContract,
    UsageError,
    collecting,
    is_contract,
    to_milliseconds,
)
from taskora.producer import AsyncProducer, PayloadCodec, Payloads
from taskora.wire import Backend, Serializer
from taskora.wire.backends import Target, open_backend
from taskora.worker._config import DEFAULT_LEASE, Defaults, Retention, SchedulerConfig, check_instance, check_lease
from taskora.worker._declared_schedules import DeclaredSchedules
from taskora.worker._handlers import AsyncHandler, Middleware, OnCancel, SyncHandler
from taskora.worker._implementation import Implementation, RunOptions, resolve
from taskora.worker._inline import InlineOptions, contract_of
from taskora.worker._listeners import Listeners, WorkerEvent
from taskora.worker._loan import Declared, Loan
from taskora.worker._middleware import check_middleware
from taskora.worker._runtime import Runtime
from taskora.worker._scheduler import scheduler_of
from taskora.worker._signals import fast_event_loop, run_until_signalled
from taskora.worker._subscribing import WorkerEvents
from taskora.worker._task import Implement, Inline, WorkerTask

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output
M = TypeVar("M", bound=Middleware)

DEFAULT_GRACE: Final = "25s"


class Worker:
    """Runs the jobs of the contracts it implements, and of no others.

    Args:
        target: A URL (`redis://`, `rediss://`, `unix://`, `redis+cluster://`, `memory://`, `embedded://`), a redis-py
            client, whose settings are used and which stays open, or a backend.
        prefix: Separates applications that share a server.
        serializer: How payloads become bytes; JSON by default. Producers must use the same.
        defaults: Options of tasks whose contract and implementation say nothing.
        retention: What is kept of ended jobs.
        middleware: Wraps every handler; the first is outermost.
        lease: How long a job stays with a worker that is not heard of; renewed three times within.
        scheduler: How it takes part in running schedules; it does so if this is given, or if it declares one.

    Attributes:
        producer: Dispatches over the same connection, for handlers that need to.
        on: `@worker.on("task:failed")` registers a listener for events of this worker's tasks, wherever their jobs
            run; `@worker.on("worker:ready")` for those of the worker.
    """

    def __init__(
        self,
        target: Target,
        *,
        prefix: str | None = None,
        serializer: Serializer | None = None,
        defaults: Defaults | None = None,
        retention: Retention | None = None,
        middleware: "list[Middleware] | tuple[Middleware, ...]" = (),
        lease: Duration = DEFAULT_LEASE,
        scheduler: SchedulerConfig | None = None,
    ) -> None:
        self._backend: Final[Backend] = open_backend(target, prefix=prefix)
        self._owns_backend: Final = self._backend is not target
        self._serializer: Final = serializer
        self._defaults: Final = check_instance("defaults", defaults, Defaults) or Defaults()
        self._retention: Final = check_instance("retention", retention, Retention)
        self._middleware: Final[list[Middleware]] = list(check_middleware(middleware))
        self._lease_ms: Final = check_lease(lease)
        self._scheduling: Final = check_instance("scheduler", scheduler, SchedulerConfig)
        self._schedules: Final = DeclaredSchedules()
        self._listeners: Final = Listeners()
        self._implementations: Final[dict[str, Implementation[Any, Any]]] = {}
        self._tasks: Final[dict[str, WorkerTask[Any, Any]]] = {}
        self._codecs: Final[dict[str, PayloadCodec[Any]]] = {}
        self._runtime: Runtime | None = None
        self._closing: asyncio.Task[None] | None = None
        self._closed = False
        self._loan: Loan | None = None
        self.on: Final = WorkerEvents(self._listeners)
        self.producer: Final = AsyncProducer(self._backend, serializer=serializer)

    # Declaring.

    @overload
    def implement(
        self,
        contract: CollectingContract[I, O],
        *,
        collect: Collect | None = None,
        on_cancel: OnCancel[list[I]] | None = None,
        **options: Unpack[RunOptions],
    ) -> Implement[list[I], O]: ...
    @overload
    def implement(
        self,
        contract: TaskContract[I, O],
        *,
        collect: Collect,
        on_cancel: OnCancel[list[I]] | None = None,
        **options: Unpack[RunOptions],
    ) -> Implement[list[I], O]: ...
    @overload
    def implement(
        self, contract: TaskContract[I, O], *, on_cancel: OnCancel[I] | None = None, **options: Unpack[RunOptions]
    ) -> Implement[I, O]: ...
    @overload
    def implement(
        self,
        contract: CollectingContract[I, O],
        handler: AsyncHandler[list[I], O] | SyncHandler[list[I], O],
        *,
        collect: Collect | None = None,
        on_cancel: OnCancel[list[I]] | None = None,
        **options: Unpack[RunOptions],
    ) -> WorkerTask[I, O]: ...
    @overload
    def implement(
        self,
        contract: TaskContract[I, O],
        handler: AsyncHandler[list[I], O] | SyncHandler[list[I], O],
        *,
        collect: Collect,
        on_cancel: OnCancel[list[I]] | None = None,
        **options: Unpack[RunOptions],
    ) -> WorkerTask[I, O]: ...
    @overload
    def implement(
        self,
        contract: TaskContract[I, O],
        handler: AsyncHandler[I, O],
        *,
        on_cancel: OnCancel[I] | None = None,
        **options: Unpack[RunOptions],
    ) -> WorkerTask[I, O]: ...
    @overload
    def implement(
        self,
        contract: TaskContract[I, O],
        handler: SyncHandler[I, O],
        *,
        on_cancel: OnCancel[I] | None = None,
        **options: Unpack[RunOptions],
    ) -> WorkerTask[I, O]: ...
    def implement(
        self,
        contract: TaskContract[I, O],
        handler: Callable[..., Any] | None = None,
        *,
        collect: Collect | None = None,
        on_cancel: OnCancel[Any] | None = None,
        **options: Unpack[RunOptions],
    ) -> Implement[Any, O] | WorkerTask[I, O]:
        """Gives a contract its handler; as a decorator, or with the handler as second argument.

        The handler takes `(data)` or `(data, ctx)`. `async def` runs in the event loop, `def` in a thread, or in a
        process with `executor="process"`. Options that are not given come from the contract, then from the defaults.
        With `collect`, here or in the contract, dispatches gather, and the handler takes a list of inputs. Given only
        here, it counts for what is dispatched through this worker's tasks; a job of a producer that does not know of it
        is a batch of one.

        Raises:
            UsageError: the contract has a handler already, the worker runs, or an option breaks a rule.
        """

        def declare(function: Callable[..., Any]) -> None:
            implementation = resolve(
                contract, function, self._defaults, self._serializer, on_cancel=on_cancel, collect=collect, **options
            )
            schedule = options.get("schedule")
            if schedule is not None:
                self._schedules.add(contract.name, contract, schedule)
            self._declare(implementation)

        self._check_open("implement", contract)
        if handler is None:
            return Implement(declare)
        declare(handler)
        return self.register(contract)

    def _as_implemented(self, contract: TaskContract[I, O]) -> TaskContract[I, O]:
        """The contract, and that it collects if only its implementation says so."""
        implementation = self._implementations.get(contract.name)
        collect = None if implementation is None else implementation.contract.collect
        return contract if collect is None or contract.collect is not None else collecting(contract, collect)

    def _declare(self, implementation: Implementation[Any, Any]) -> None:
        self._check_open("implement", implementation.contract)
        known = self._tasks.get(implementation.task)
        if known is not None and known.contract.collect is None and implementation.contract.collect is not None:
            raise UsageError(
                f"task {implementation.task!r} was registered as one that does not collect: implement it before it is "
                "registered, or give collect to its contract"
            )
        self._implementations[implementation.task] = implementation
        self._follow(implementation.task, implementation.payloads.output)

    def _check_open(self, action: str, contract: TaskContract[Any, Any]) -> None:
        if not is_contract(contract):
            raise UsageError.for_field("contract", contract, "a TaskContract, made by define_task or static_contract")
        if self._runtime is not None:
            raise UsageError(f"cannot {action} task {contract.name!r} on a worker that has started")
        if contract.name in self._implementations:
            raise UsageError(f"task {contract.name!r} is implemented already in this worker")

    def register(self, contract: TaskContract[I, O]) -> WorkerTask[I, O]:
        """A task to dispatch to and to listen to; whether it is implemented here does not matter.

        Raises:
            UsageError: another contract of that name is registered, or this is no contract.
        """
        if is_contract(contract):
            contract = self._as_implemented(contract)
        bound = self.producer.register(contract)
        known = self._tasks.get(contract.name)
        if known is None:
            known = self._tasks[contract.name] = WorkerTask(bound, self._listeners, self._implementations)
            self._follow(contract.name, Payloads(contract, self._serializer).output)
        return cast("WorkerTask[I, O]", known)

    def _follow(self, task: str, codec: "PayloadCodec[Any]") -> None:
        self._codecs[task] = codec
        if self._runtime is not None:
            self._runtime.follow()

    def task(self, name: str, **options: Unpack[InlineOptions]) -> Inline:
        """Declares a contract from a function's annotations, and implements it with that function.

        Raises:
            UsageError: an annotation is missing.
            ContractError: the name, or a type, breaks a rule.
        """

        def declare(handler: Callable[..., Any]) -> WorkerTask[Any, Any]:
            contract, run_options = contract_of(name, handler, options)
            return self.implement(contract, handler, **run_options)

        return Inline(declare)

    def schedule(self, name: str, contract: TaskContract[Any, Any], **options: Unpack[ScheduleOptions]) -> None:
        """Declares when a task runs by itself, whoever implements it. Stored when the worker starts.

        Raises:
            UsageError: the worker runs, the name is taken, or an option breaks a rule.
            ValidationError: the data do not fit the contract.
        """
        if self._runtime is not None:
            raise UsageError(f"cannot declare schedule {name!r} on a worker that has started")
        self._schedules.declare(name, contract, **options)

    def use(self, middleware: M) -> M:
        """Adds a middleware around all handlers, inside those that are there already."""
        if self._runtime is not None:
            raise UsageError("cannot add a middleware to a worker that has started")
        self._middleware.extend(check_middleware((middleware,)))
        return middleware

    @property
    def implementations(self) -> "dict[str, Implementation[Any, Any]]":
        """What this worker implements, by task name."""
        return dict(self._implementations)

    def lend(self, backend: Backend) -> Loan:
        """For test runners: sends all that is dispatched through this worker to a backend of theirs.

        A worker that is lent cannot be started. Lending it again ends the earlier loan.

        Raises:
            UsageError: the worker runs.
        """
        if self._runtime is not None and not self._closed:
            raise UsageError("this worker runs: lend it before it is started, or after it was closed")
        if self._loan is not None:
            self._loan.drop()
        self._loan = Loan(self.producer._session, self._declared(), backend)
        return self._loan

    def _declared(self) -> Declared:
        return Declared(
            implementations=self._implementations,
            middleware=self._middleware,
            listeners=self._listeners,
            codecs=self._codecs,
            retention=self._retention,
            serializer=self._serializer,
            lease_ms=self._lease_ms,
            schedules=self._schedules,
            scheduling=self._scheduling,
        )

    # Running.

    async def start(self) -> None:
        """Reaches the server, then starts to work in the background.

        Raises:
            UsageError: the worker was started before.
            BackendError: the server cannot be reached or used.
            WireVersionError: its data and this version do not fit together.
        """
        if self._runtime is not None or self._closed:
            raise UsageError("a worker can be started once; make another one")
        if self._loan is not None and not self._loan.is_over:
            raise UsageError("this worker is lent: close the test runner that has it before you start it")
        self._runtime = Runtime(
            self._backend,
            self._implementations,
            middleware=tuple(self._middleware),
            listeners=self._listeners,
            retention=self._retention or Retention(),
            lease_ms=self._lease_ms,
            codecs=self._codecs,
            scheduler=scheduler_of(self._declared(), self._backend, self.producer),
        )
        try:
            await self._runtime.start()
        except BaseException:
            await self._release()
            raise
        await self._listeners.deliver("worker:ready", WorkerEvent(name="worker:ready"))

    async def close(self, timeout: Duration | None = DEFAULT_GRACE) -> None:  # noqa: ASYNC109 - the grace of jobs
        """Stops claiming, lets running jobs end, then stops them; those go back without having spent an attempt.

        Closing twice is the same as once, and closing goes on although the caller was cancelled.

        Args:
            timeout: How long running jobs, and listeners to `worker:closing`, may go on; None for as long as they
                take. Handlers that are stopped have as long again to clean up, at most three seconds.
        """
        timeout_ms = None if timeout is None else to_milliseconds(timeout, field="timeout", allow_zero=True)
        if self._closing is None:
            shutdown = self._shut_down(None if timeout_ms is None else timeout_ms / 1000)
            self._closing = asyncio.get_running_loop().create_task(shutdown, name="worker-close")
        await asyncio.shield(self._closing)

    async def _shut_down(self, timeout_seconds: float | None) -> None:
        try:
            if self._runtime is not None and not self._closed:
                await self._runtime.close(timeout_seconds)
        finally:
            await self._release()

    async def _release(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self.producer.close()
        if self._owns_backend:
            await self._backend.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def run(self, *, grace: Duration = DEFAULT_GRACE) -> None:
        """Works until SIGTERM or SIGINT, then closes; a second signal ends the grace at once.

        Blocks, and uses uvloop where it is installed. Returns normally after a shutdown, so that the process ends
        with exit code 0.

        Raises:
            RuntimeError: a bug ended the loop of a task. The worker was closed, as after a signal.
        """
        runner = asyncio.Runner(loop_factory=fast_event_loop())
        ended = True
        try:
            ended = runner.run(run_until_signalled(self, self._hurry, grace, broken=self._broken))
        finally:
            if ended:
                runner.close()
        breakage = None if self._runtime is None else self._runtime.breakage
        if breakage is not None:
            raise RuntimeError("the worker was closed: the loop of a task has died of a bug") from breakage

    async def _broken(self) -> None:
        if self._runtime is not None:
            await self._runtime.broken()

    def _hurry(self) -> None:
        if self._runtime is not None:
            self._runtime.hurry()
