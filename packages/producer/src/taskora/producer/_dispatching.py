"""What may be said about a dispatch, how dispatches travel together, and what became of them."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, Generic, TypeAlias, TypedDict, TypeVar, cast

from taskora.contracts import (
    Debounce,
    Deduplicate,
    Duration,
    TaskContract,
    Throttle,
    UsageError,
)
from taskora.contracts.records import record
from taskora.producer._flow_control import rejection
from taskora.producer._payload import Payloads
from taskora.wire import Admission, AlikeJobs, ControlledJob, Enqueue, EnqueueControlled, NewJob, Operation

AnyJob: TypeAlias = NewJob | ControlledJob
# What became of a dispatch: whether it created its job, unless flow control decided; then what that says.
Reply: TypeAlias = bool | Admission

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output

# The wait order is kept in a double: above this, ages within one priority would be rounded.
HIGHEST_PRIORITY: Final = 900
DEFAULT_MAX_PAYLOAD: Final = 1_048_576
# A script call holds the server while it runs, and the server holds its arguments: larger batches are split.
BATCH_SIZE: Final = 1000
BATCH_BYTES: Final = 8 * 1_048_576


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
    """A payload with options of its own, for `dispatch_many` and `dispatch_stream`."""

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


def check_names(options: DispatchOptions) -> None:
    """Refuses options that do not exist, as Python refuses arguments: they are a mistake of whoever wrote the call."""
    unknown = sorted(options.keys() - DispatchOptions.__optional_keys__)
    if unknown:
        raise TypeError(f"dispatch has no option {', '.join(map(repr, unknown))}")


def encode_payload(
    contract: TaskContract[I, O], payloads: Payloads[I, O], rules: DispatchRules, data: I, *, checked: bool
) -> bytes:
    """The payload as bytes.

    Raises:
        UsageError: it is too large.
        ValidationError: it is to be checked, and does not fit the contract.
    """
    encoded = payloads.input.pack(data) if checked else payloads.input.encode(data)
    check_size(contract, rules, encoded)
    return encoded


def check_size(contract: TaskContract[I, O], rules: DispatchRules, encoded: bytes) -> None:
    """Does nothing if a payload may be dispatched.

    Raises:
        UsageError: it is too large.
    """
    if len(encoded) > rules.max_payload:
        raise UsageError(
            f"payload of task {contract.name!r} must be at most {rules.max_payload} bytes when encoded, "
            f"got {len(encoded)}: store large data elsewhere and dispatch where it is, or raise max_payload"
        )


def data_and_options(item: I | DispatchItem[I]) -> tuple[I, DispatchOptions]:
    """What a batch's item consists of."""
    if isinstance(item, DispatchItem):
        chosen = cast("DispatchItem[I]", item)
        return chosen.data, chosen.options
    return item, {}


def raise_rejection(task: str, job: AnyJob, reply: Reply) -> None:
    """Raises what flow control has against a dispatch, if anything."""
    rejected = rejection(task, job, reply)
    if rejected is not None:
        raise rejected


def raise_first_rejection(
    task: str, items: Sequence[I | DispatchItem[I]], jobs: Sequence[AnyJob], replies: Sequence[Reply]
) -> None:
    """Raises the first rejection of a batch's item that asked for it."""
    if type(jobs) is AlikeJobs or Admission not in map(type, replies):
        return  # nothing but plain jobs
    for position, (item, job, reply) in enumerate(zip(items, jobs, replies, strict=True)):
        if not isinstance(item, DispatchItem) or not item.options.get("raise_on_reject", False):
            continue
        rejected = rejection(task, job, reply)
        if rejected is not None:
            rejected.add_note(f"item {position} of a batch of {len(items)}, all of which was sent")
            raise rejected


def enqueue(contract: TaskContract[I, O], jobs: Sequence[AnyJob]) -> Operation[tuple[Reply, ...]]:
    """The operation that enqueues jobs of one task; the plain one unless a job asks for flow control."""
    task, version, attempts = contract.name, contract.version, max_attempts(contract)
    for job in () if type(jobs) is AlikeJobs else jobs:
        if not isinstance(job, NewJob):
            controlled = [ControlledJob(job=job) if isinstance(job, NewJob) else job for job in jobs]
            return EnqueueControlled(task=task, version=version, max_attempts=attempts, jobs=controlled)
    return Enqueue(task=task, version=version, max_attempts=attempts, jobs=cast("Sequence[NewJob]", jobs))


def max_attempts(contract: TaskContract[I, O]) -> int:
    """How many runs a job is recorded to have; the worker's own policy decides."""
    return 1 if contract.retry is None else contract.retry.attempts


def batch_length(jobs: Sequence[AnyJob]) -> int:
    """How many jobs, from the first on, travel in one call."""
    if type(jobs) is AlikeJobs:
        weights = list(map(len, jobs.payloads[:BATCH_SIZE]))
    else:
        weights = [len(job.data if isinstance(job, NewJob) else job.job.data) for job in jobs[:BATCH_SIZE]]
    if sum(weights) <= BATCH_BYTES:
        return len(weights)
    return max(sum(total <= BATCH_BYTES for total in accumulate(weights)), 1)


def batches(jobs: Sequence[AnyJob]) -> Iterator[Sequence[AnyJob]]:
    """The jobs in order, cut into what travels in one call."""
    while jobs:
        length = batch_length(jobs)
        if length == len(jobs):
            yield jobs
            return
        yield jobs[:length]
        jobs = jobs[length:]


def left_behind(sent: int, failed: int, count: int) -> str:
    """What is known of a batch of `count` jobs, the part of which failed that begins after `sent` of them."""
    return f"of {count} jobs, the first {sent} were dispatched, and the next {failed} may have been"


def is_integer(value: object) -> bool:
    """Whether a value is an int and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)
