"""From what a caller wants to run to what is enqueued: every rule is checked before anything is sent."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Generic, TypeAlias, TypedDict, TypeVar, Unpack, cast

from taskora.contracts import (
    Debounce,
    Deduplicate,
    Duration,
    TaskContract,
    Throttle,
    UsageError,
    ValidationError,
    check_job_id,
    to_milliseconds,
)
from taskora.contracts.records import record
from taskora.producer._flow_control import FlowOptions, control, rejection
from taskora.producer._payload import Payloads
from taskora.wire import Admission, ControlledJob, Enqueue, EnqueueControlled, NewJob, Verdict, random_id

AnyJob: TypeAlias = NewJob | ControlledJob

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output

# The wait order is kept in a double: above this, ages within one priority would be rounded.
HIGHEST_PRIORITY: Final = 900
DEFAULT_MAX_PAYLOAD: Final = 1_048_576
# A script call holds the server while it runs, and the server holds its arguments: larger batches are split.
BATCH_SIZE: Final = 1000
BATCH_BYTES: Final = 8 * 1_048_576
_FLAGS: Final = ("lifo", "raise_on_reject", "skip_validation")


class DispatchOptions(TypedDict, total=False):
    """How one job is dispatched.

    Keys:
        job_id: Id of the job; dispatching an id that exists, as it does until retention deletes its job, changes
            nothing. By default a random one.
        delay: How long to wait before the job may run.
        priority: From 0 to 900; a higher one always leaves before a lower one.
        ttl: How long the job may wait for its first start, from now; by default what the contract says.
        skip_validation: Send the payload without checking it.
        lifo: Let the job leave before those of its priority that are waiting.
        concurrency_key: Jobs of one key run at most so many at once, over all workers.
        concurrency_limit: How many; by default what the worker's implementation says, or 1.
        debounce: Replace the pending job of a key.
        throttle: Accept so many dispatches of a key in a window of time.
        deduplicate: Reject while a job of a key is unfinished.
        raise_on_reject: Raise `ThrottledError` or `DuplicateJobError` instead of returning a handle that says so.
    """

    job_id: str | None
    delay: Duration | None
    priority: int
    ttl: Duration | None
    skip_validation: bool
    lifo: bool
    concurrency_key: str | None
    concurrency_limit: int | None
    debounce: Debounce | None
    throttle: Throttle | None
    deduplicate: Deduplicate | None
    raise_on_reject: bool


@record(kw_only=False)
class DispatchItem(Generic[I]):
    """A payload with options of its own, for `dispatch_many`."""

    data: I
    options: DispatchOptions


@record
class DispatchRules:
    """What a producer demands of every payload. `max_payload` is in bytes."""

    validate: bool = True
    max_payload: int = DEFAULT_MAX_PAYLOAD

    def __post_init__(self) -> None:
        if not is_integer(self.max_payload) or self.max_payload < 1:
            raise UsageError.for_field("max_payload", self.max_payload, "a number of bytes, 1 or more")


def build_job(
    contract: TaskContract[I, O],
    payloads: Payloads[I, O],
    rules: DispatchRules,
    data: I,
    **options: Unpack[DispatchOptions],
) -> AnyJob:
    """Checks options and payload; a job without flow control comes out plain.

    Raises:
        TypeError: there is no such option.
        UsageError: an option breaks a rule, or the encoded payload is too large.
        ValidationError: the payload does not fit the contract.
    """
    if not options:  # most jobs
        checked = rules.validate and contract.validates_input
        payload = encode_payload(contract, payloads, rules, data, checked=checked)
        return NewJob(job_id=random_id(), data=payload, ttl_ms=_ttl_ms(contract, None))
    return _build_job_with(contract, payloads, rules, data, options)


def _build_job_with(
    contract: TaskContract[I, O], payloads: Payloads[I, O], rules: DispatchRules, data: I, options: DispatchOptions
) -> AnyJob:
    check_names(options)
    _check_flags(options)
    checked = rules.validate and contract.validates_input and not options.get("skip_validation", False)
    job_id, delay = options.get("job_id"), options.get("delay")
    job = NewJob(
        job_id=random_id() if job_id is None else check_job_id(job_id),
        data=encode_payload(contract, payloads, rules, data, checked=checked),
        delay_ms=0 if delay is None else to_milliseconds(delay, field="delay", allow_zero=True),
        priority=_checked_priority(options.get("priority", 0)),
        ttl_ms=_ttl_ms(contract, options.get("ttl")),
    )
    flow = FlowOptions(
        delayed=job.delay_ms > 0,
        lifo=options.get("lifo", False),
        concurrency_key=options.get("concurrency_key"),
        concurrency_limit=options.get("concurrency_limit"),
        debounce=options.get("debounce"),
        throttle=options.get("throttle"),
        deduplicate=options.get("deduplicate"),
    )
    return control(job, flow) if flow.asks_for_anything() else job


def check_names(options: DispatchOptions) -> None:
    """Refuses options that do not exist, as Python refuses arguments: they are a mistake of whoever wrote the call."""
    unknown = sorted(options.keys() - DispatchOptions.__optional_keys__)
    if unknown:
        raise TypeError(f"dispatch has no option {', '.join(map(repr, unknown))}")


def _check_flags(options: DispatchOptions) -> None:
    """Refuses flags that are none.

    Raises:
        UsageError: a flag is neither true nor false.
    """
    for name in _FLAGS:
        if not isinstance(options.get(name, False), bool):
            raise UsageError.for_field(name, options.get(name), "True or False")


def encode_payload(
    contract: TaskContract[I, O], payloads: Payloads[I, O], rules: DispatchRules, data: I, *, checked: bool
) -> bytes:
    """The payload as bytes.

    Raises:
        UsageError: it is too large.
        ValidationError: it is to be checked, and does not fit the contract.
    """
    encoded = payloads.input.pack(data) if checked else payloads.input.encode(data)
    if len(encoded) > rules.max_payload:
        raise UsageError(
            f"payload of task {contract.name!r} must be at most {rules.max_payload} bytes when encoded, "
            f"got {len(encoded)}: store large data elsewhere and dispatch where it is, or raise max_payload"
        )
    return encoded


def build_jobs(
    contract: TaskContract[I, O], payloads: Payloads[I, O], rules: DispatchRules, items: Iterable[I | DispatchItem[I]]
) -> list[AnyJob]:
    """Checks a whole batch; one bad item refuses all of it."""
    jobs: list[AnyJob] = []
    for index, item in enumerate(items):
        data, options = data_and_options(item)
        try:
            jobs.append(build_job(contract, payloads, rules, data, **options))
        except (TypeError, UsageError, ValidationError) as error:
            error.add_note(f"item {index} of the batch; nothing was dispatched")
            raise
    return jobs


def data_and_options(item: I | DispatchItem[I]) -> tuple[I, DispatchOptions]:
    """What a batch's item consists of."""
    if isinstance(item, DispatchItem):
        chosen = cast("DispatchItem[I]", item)
        return chosen.data, chosen.options
    return item, {}


def raise_rejection(task: str, job: AnyJob, admission: Admission) -> None:
    """Raises what flow control has against a dispatch, if anything."""
    rejected = rejection(task, job, admission)
    if rejected is not None:
        raise rejected


def raise_first_rejection(
    task: str, items: Sequence[I | DispatchItem[I]], jobs: Sequence[AnyJob], admissions: Sequence[Admission]
) -> None:
    """Raises the first rejection of a batch's item that asked for it."""
    for position, (item, job, admission) in enumerate(zip(items, jobs, admissions, strict=True), start=1):
        if not isinstance(item, DispatchItem) or not item.options.get("raise_on_reject", False):
            continue
        rejected = rejection(task, job, admission)
        if rejected is not None:
            rejected.add_note(f"item {position} of a batch of {len(items)}, all of which was sent")
            raise rejected


def enqueue(contract: TaskContract[I, O], jobs: Sequence[AnyJob]) -> Enqueue | EnqueueControlled:
    """The operation that enqueues jobs of one task; the plain one unless a job asks for flow control."""
    attempts = max_attempts(contract)
    plain = [job for job in jobs if isinstance(job, NewJob)]
    if len(plain) == len(jobs):
        return Enqueue(task=contract.name, version=contract.version, max_attempts=attempts, jobs=plain)
    controlled = [ControlledJob(job=job) if isinstance(job, NewJob) else job for job in jobs]
    return EnqueueControlled(task=contract.name, version=contract.version, max_attempts=attempts, jobs=controlled)


def admissions(operation: Enqueue | EnqueueControlled, reply: Sequence[bool | Admission]) -> list[Admission]:
    """What the reply to an operation of `enqueue` says of each job."""
    if isinstance(operation, EnqueueControlled):
        return cast("list[Admission]", [*reply])
    return [
        Admission(verdict=Verdict.CREATED if created else Verdict.TAKEN, job_id=job.job_id)
        for job, created in zip(operation.jobs, reply, strict=True)
    ]


def max_attempts(contract: TaskContract[I, O]) -> int:
    """How many runs a job is recorded to have; the worker's own policy decides."""
    return 1 if contract.retry is None else contract.retry.attempts


def batch_length(jobs: Sequence[AnyJob]) -> int:
    """How many jobs, from the first on, travel in one call."""
    weight = 0
    for count, job in enumerate(jobs[:BATCH_SIZE]):
        weight += len(job.data if isinstance(job, NewJob) else job.job.data)
        if count and weight > BATCH_BYTES:
            return count
    return min(len(jobs), BATCH_SIZE)


def batches(jobs: Sequence[AnyJob]) -> Iterator[Sequence[AnyJob]]:
    """The jobs in order, cut into what travels in one call."""
    while jobs:
        length = batch_length(jobs)
        yield jobs[:length]
        jobs = jobs[length:]


def left_behind(sent: int, failed: int, count: int) -> str:
    """What is known of a batch of `count` jobs, the part of which failed that begins after `sent` of them."""
    return f"of {count} jobs, the first {sent} were dispatched, and the next {failed} may have been"


def _checked_priority(priority: int) -> int:
    if not is_integer(priority) or not 0 <= priority <= HIGHEST_PRIORITY:
        raise UsageError.for_field("priority", priority, f"an integer from 0 to {HIGHEST_PRIORITY}")
    return priority


def is_integer(value: object) -> bool:
    """Whether a value is an int and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def _ttl_ms(contract: TaskContract[I, O], ttl: Duration | None) -> int:
    if ttl is not None:
        return to_milliseconds(ttl, field="ttl")
    return 0 if contract.ttl is None else contract.ttl.max_ms
