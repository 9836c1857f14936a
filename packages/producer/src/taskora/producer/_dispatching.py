"""From what a caller wants to run to what is enqueued: every rule is checked before anything is sent."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypedDict, TypeVar, cast

from taskora.contracts import Duration, TaskContract, UsageError, check_job_id, to_milliseconds
from taskora.producer._payload import Payloads
from taskora.wire import Enqueue, NewJob

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
    """

    job_id: str | None
    delay: Duration | None
    priority: int
    ttl: Duration | None
    skip_validation: bool


@dataclass(frozen=True, slots=True)
class DispatchItem(Generic[I]):
    """A payload with options of its own, for `dispatch_many`."""

    data: I
    options: DispatchOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchRules:
    """What a producer demands of every payload. `max_payload` is in bytes."""

    validate: bool = True
    max_payload: int = DEFAULT_MAX_PAYLOAD

    def __post_init__(self) -> None:
        if not _is_integer(self.max_payload) or self.max_payload < 1:
            raise UsageError.for_field("max_payload", self.max_payload, "a number of bytes, 1 or more")


def build_job(
    contract: TaskContract[I, O],
    payloads: Payloads[I, O],
    rules: DispatchRules,
    data: I,
    *,
    job_id: str | None = None,
    delay: Duration | None = None,
    priority: int = 0,
    ttl: Duration | None = None,
    skip_validation: bool = False,
) -> NewJob:
    """Checks options and payload.

    Raises:
        UsageError: an option breaks a rule, or the encoded payload is too large.
        ValidationError: the payload does not fit the contract.
    """
    checked = rules.validate and contract.validates_input and not skip_validation
    encoded = payloads.input.pack(data) if checked else payloads.input.encode(data)
    if len(encoded) > rules.max_payload:
        raise UsageError(
            f"payload of task {contract.name!r} must be at most {rules.max_payload} bytes when encoded, "
            f"got {len(encoded)}: store large data elsewhere and dispatch where it is, or raise max_payload"
        )
    return NewJob(
        job_id=str(uuid.uuid4()) if job_id is None else check_job_id(job_id),
        data=encoded,
        delay_ms=0 if delay is None else to_milliseconds(delay, field="delay", allow_zero=True),
        priority=_checked_priority(priority),
        ttl_ms=_ttl_ms(contract, ttl),
    )


def build_jobs(
    contract: TaskContract[I, O], payloads: Payloads[I, O], rules: DispatchRules, items: Iterable[I | DispatchItem[I]]
) -> list[NewJob]:
    """Checks a whole batch; one bad item refuses all of it."""
    jobs: list[NewJob] = []
    for item in items:
        if isinstance(item, DispatchItem):
            chosen = cast("DispatchItem[I]", item)
            jobs.append(build_job(contract, payloads, rules, chosen.data, **chosen.options))
        else:
            jobs.append(build_job(contract, payloads, rules, item))
    return jobs


def enqueue(contract: TaskContract[I, O], jobs: Sequence[NewJob]) -> Enqueue:
    """The operation that enqueues jobs of one task."""
    attempts = 1 if contract.retry is None else contract.retry.attempts
    return Enqueue(task=contract.name, version=contract.version, max_attempts=attempts, jobs=jobs)


def batch_length(jobs: Sequence[NewJob]) -> int:
    """How many jobs, from the first on, travel in one call."""
    weight = 0
    for count, job in enumerate(jobs[:BATCH_SIZE]):
        weight += len(job.data)
        if count and weight > BATCH_BYTES:
            return count
    return min(len(jobs), BATCH_SIZE)


def batches(jobs: Sequence[NewJob]) -> Iterator[Sequence[NewJob]]:
    """The jobs in order, cut into what travels in one call."""
    while jobs:
        length = batch_length(jobs)
        yield jobs[:length]
        jobs = jobs[length:]


def _checked_priority(priority: int) -> int:
    if not _is_integer(priority) or not 0 <= priority <= HIGHEST_PRIORITY:
        raise UsageError.for_field("priority", priority, f"an integer from 0 to {HIGHEST_PRIORITY}")
    return priority


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _ttl_ms(contract: TaskContract[I, O], ttl: Duration | None) -> int:
    if ttl is not None:
        return to_milliseconds(ttl, field="ttl")
    return 0 if contract.ttl is None else contract.ttl.max_ms
