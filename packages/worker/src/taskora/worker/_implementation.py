"""A contract, its handler, and every option resolved."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypedDict, TypeVar, Unpack

from taskora.contracts import (
    Collect,
    Duration,
    Migrations,
    MigrationStep,
    OnExpire,
    RateLimit,
    Retry,
    Schedule,
    Stall,
    TaskContract,
    Ttl,
    UsageError,
    collecting,
    migration_steps,
    to_milliseconds,
)
from taskora.contracts.records import field, field_names, record, replace
from taskora.producer import Payloads
from taskora.wire import Pace, Serializer
from taskora.worker._config import Defaults, check_count, check_instance
from taskora.worker._handlers import (
    ExecutorChoice,
    ExecutorKind,
    Middleware,
    OnCancel,
    check_takes_batches,
    choose_executor,
    wants_context,
)
from taskora.worker._middleware import check_middleware
from taskora.worker._pacing import pace_of
from taskora.worker._prefetch import prefetch_for

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output

NO_RETRY: Final = Retry(attempts=1)


class RunOptions(TypedDict, total=False):
    """How a worker runs a task; what is not given comes from the contract, then from the worker's defaults.

    Keys:
        concurrency: How many jobs this worker runs at once.
        prefetch: How many more it may claim, to have them at hand while it waits for the server. It does so only while
            handlers end sooner than a round trip, and none waits for more than a moment. By default as many as make
            four together with those that run, and none where a job must not stall (`Stall(max_count=0)`).
        timeout: How long one attempt may take.
        retry: When failed attempts are run again.
        stall: What happens when a worker dies.
        ttl: How long after their dispatch jobs may start whose producer gave no time, and what happens to all that did
            not start in time. Ignored for the time of batches, which wait for their items.
        middleware: Wraps the handler, inside the worker's own middleware; the first is outermost.
        executor: Where the handler runs: `"async"`, `"thread"`, `"process"`, or `"auto"`, by the kind of function.
        version: The payload version that the handler understands; by default the contract's.
        since: The oldest payload version that it still accepts.
        migrate: Steps that bring older payloads up to date: by the version they start from, or in order from `since`
            on, and then the version is what they lead to.
        singleton: Run at most one job of the task at once, over all workers.
        concurrency_limit: How many jobs of a concurrency key run at once, over all workers, where their dispatch did
            not say.
        rate_limit: How many attempts may start in a window of time, over all workers.
        schedule: When the task runs by itself; the schedule has the task's name.
        capture_logs: Write records of `logging`, made while the handler runs, to the job's log.
    """

    concurrency: int | None
    prefetch: int | None
    timeout: Duration | None
    retry: Retry | None
    stall: Stall | None
    ttl: Ttl | None
    middleware: Sequence[Middleware]
    executor: ExecutorChoice
    version: int | None
    since: int
    migrate: Migrations | None
    singleton: bool
    concurrency_limit: int | None
    rate_limit: RateLimit | None
    schedule: Schedule | None
    capture_logs: bool


@record
class Implementation(Generic[I, O]):
    """What a lane needs to know of a task."""

    contract: TaskContract[I, O]
    payloads: Payloads[I, O]
    handler: Callable[..., Any]
    wants_context: bool
    executor: ExecutorKind
    concurrency: int
    prefetch: int
    retry: Retry
    timeout_ms: int | None
    stall: Stall
    on_expire: OnExpire
    ttl_ms: int
    middleware: tuple[Middleware, ...]
    on_cancel: OnCancel[Any] | None
    version: int
    since: int
    migrations: Mapping[int, MigrationStep]
    pace: Pace
    rate_limit: RateLimit | None
    key_limit: int
    capture_logs: bool
    task: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", self.contract.name)

    def declares(self, contract: TaskContract[Any, Any]) -> bool:
        """Whether this implements a contract as it is, but for how it collects: an implementation may say that too."""
        names = [name for name in field_names(TaskContract) if name != "collect"]
        return all(getattr(contract, name) == getattr(self.contract, name) for name in names)


def resolve(
    contract: TaskContract[I, O],
    handler: Callable[..., Any],
    defaults: Defaults,
    serializer: Serializer | None,
    *,
    on_cancel: OnCancel[Any] | None = None,
    collect: Collect | None = None,
    **options: Unpack[RunOptions],
) -> Implementation[I, O]:
    """Settles every option: implementation, then contract, then defaults.

    Raises:
        UsageError: an option breaks a rule, or the handler has a shape that cannot be called.
        ContractError: the contract's types cannot be validated.
    """
    name = contract.name
    _check_options(on_cancel, options)
    contract = _collecting(contract, collect, handler)
    since, rate_limit = options.get("since", 1), options.get("rate_limit")
    ttl, stall = options.get("ttl") or contract.ttl or defaults.ttl, _stall(contract, options, defaults)
    concurrency = _count("concurrency", options.get("concurrency"), defaults.concurrency)
    version, migrations = _versions(contract, options.get("version"), since, options.get("migrate"))
    return Implementation(
        contract=contract,
        payloads=Payloads(contract, serializer),
        handler=handler,
        executor=choose_executor(handler, options.get("executor", "auto"), task=name),
        wants_context=wants_context(handler, task=name),
        concurrency=concurrency,
        prefetch=_prefetch(options, defaults, concurrency, stall),
        retry=options.get("retry") or contract.retry or defaults.retry or NO_RETRY,
        timeout_ms=_timeout_ms(options.get("timeout"), contract, defaults),
        stall=stall,
        on_expire="fail" if ttl is None else ttl.on_expire,
        ttl_ms=0 if ttl is None or contract.collect is not None else ttl.max_ms,
        middleware=check_middleware(options.get("middleware", ())),
        on_cancel=on_cancel,
        version=version,
        since=since,
        migrations=migrations,
        pace=pace_of(rate_limit, singleton=options.get("singleton", False)),
        rate_limit=rate_limit,
        key_limit=_count("concurrency_limit", options.get("concurrency_limit"), 0, least=0),
        capture_logs=options.get("capture_logs", False),
    )


def _check_options(on_cancel: OnCancel[Any] | None, options: RunOptions) -> None:
    unknown = sorted(options.keys() - RunOptions.__optional_keys__)
    if unknown:
        raise UsageError.for_field("option", unknown[0], f"one of {', '.join(sorted(RunOptions.__optional_keys__))}")
    check_instance("retry", options.get("retry"), Retry)
    check_instance("stall", options.get("stall"), Stall)
    check_instance("ttl", options.get("ttl"), Ttl)
    check_instance("rate_limit", options.get("rate_limit"), RateLimit)
    check_instance("schedule", options.get("schedule"), Schedule)
    if options.get("concurrency_limit") == 0:
        raise UsageError.for_field("concurrency_limit", 0, "an integer, 1 or more")
    for name in ("singleton", "capture_logs"):
        if not isinstance(options.get(name, False), bool):
            raise UsageError.for_field(name, options.get(name), "True or False")
    if on_cancel is not None and not callable(on_cancel):
        raise UsageError.for_field("on_cancel", on_cancel, "a function (data, ctx) or None")


def _versions(
    contract: TaskContract[Any, Any], version: int | None, since: int, migrate: Migrations | None
) -> tuple[int, Mapping[int, MigrationStep]]:
    check_count("since", since)
    declared = check_count("version", contract.version if version is None else version)
    accepted, steps = migration_steps(migrate, version=declared, since=since)
    if since > accepted:
        raise UsageError.for_field("since", since, f"at most the version, which is {accepted}")
    return accepted, steps


def _prefetch(options: RunOptions, defaults: Defaults, concurrency: int, stall: Stall) -> int:
    """None where a limit over all workers counts jobs that are claimed: those that wait would use it up.

    None by default where a job must not lose its worker even once: those that wait would, and have not even begun.
    """
    given = options.get("prefetch")
    limits = [name for name in ("singleton", "rate_limit", "concurrency_limit") if options.get(name)]
    if limits:
        if given:
            raise UsageError.for_field("prefetch", given, f"0 together with {' and '.join(limits)}")
        return 0
    default = prefetch_for(concurrency) if defaults.prefetch is None else defaults.prefetch
    if stall.max_count == 0:
        default = 0
    return _count("prefetch", given, default, least=0)


def _stall(contract: TaskContract[Any, Any], options: RunOptions, defaults: Defaults) -> Stall:
    return options.get("stall") or contract.stall or defaults.stall


def _count(name: str, given: int | None, default: int, *, least: int = 1) -> int:
    return check_count(name, default if given is None else given, least=least)


def _collecting(
    contract: TaskContract[I, O], collect: Collect | None, handler: Callable[..., Any]
) -> TaskContract[I, O]:
    contract = _as_implemented(contract, collect)
    if contract.collect is not None:
        check_takes_batches(handler, contract.input, task=contract.name)
    return contract


def _as_implemented(contract: TaskContract[I, O], collect: Collect | None) -> TaskContract[I, O]:
    if check_instance("collect", collect, Collect) is None or collect is None:
        return contract
    if contract.collect is None:
        return collecting(contract, collect)
    if not _agree(contract.collect, collect):
        rule = f"what the contract of task {contract.name!r} says, which is {contract.collect!r}, or left out"
        raise UsageError.for_field("collect", collect, rule)
    return contract


def _agree(first: Collect, second: Collect) -> bool:
    if callable(first.key) and callable(second.key):  # two functions that do the same cannot be told from others
        return replace(first, key="any") == replace(second, key="any")
    return first == second


def _timeout_ms(timeout: Duration | None, contract: TaskContract[Any, Any], defaults: Defaults) -> int | None:
    if timeout is not None:
        return to_milliseconds(timeout, field="timeout")
    return defaults.timeout_ms if contract.timeout_ms is None else contract.timeout_ms
