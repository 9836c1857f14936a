"""From the flow control that a caller asks for to what the storage decides on."""

from typing import Final

from taskora.contracts import (
    Debounce,
    Deduplicate,
    DuplicateJobError,
    JobState,
    TaskoraError,
    Throttle,
    ThrottledError,
    UsageError,
    check_flow_key,
)
from taskora.contracts.records import record
from taskora.wire import Admission, Control, ControlledJob, NewJob, Verdict

_LATEST: Final = "latest:"
_KINDS: Final = {"debounce": Debounce, "throttle": Throttle, "deduplicate": Deduplicate}


@record
class FlowOptions:
    """The flow control of one dispatch."""

    delayed: bool
    lifo: bool = False
    concurrency_key: str | None = None
    concurrency_limit: int | None = None
    debounce: Debounce | None = None
    throttle: Throttle | None = None
    deduplicate: Deduplicate | None = None

    def asks_for_anything(self) -> bool:
        """Whether the plain way of enqueueing is not enough."""
        controls = (self.debounce, self.throttle, self.deduplicate, self.concurrency_key, self.concurrency_limit)
        return self.lifo or any(control is not None for control in controls)


def control(job: NewJob, options: FlowOptions) -> ControlledJob:
    """The job with its flow control.

    Raises:
        UsageError: options that exclude each other, or one that breaks a rule.
    """
    _check_exclusive(options)
    key, limit = _concurrency(options)
    if options.debounce is not None:
        return _controlled(job, options, key, limit, Control.DEBOUNCE, options.debounce.key, options.debounce.delay_ms)
    if options.throttle is not None:
        throttle = options.throttle
        return _controlled(
            job, options, key, limit, Control.THROTTLE, throttle.key, throttle.window_ms, amount=throttle.max
        )
    if options.deduplicate is not None:
        return _deduplicated(job, options, options.deduplicate, key, limit)
    return _controlled(job, options, key, limit, Control.NONE, "", 0)


def _deduplicated(job: NewJob, options: FlowOptions, deduplicate: Deduplicate, key: str, limit: int) -> ControlledJob:
    if deduplicate.keep_latest:
        return _controlled(job, options, _LATEST + deduplicate.key, 1, Control.KEEP_LATEST, deduplicate.key, 0)
    if deduplicate.ttl_ms is not None:
        return _controlled(job, options, key, limit, Control.DEDUPLICATE_FOR, deduplicate.key, deduplicate.ttl_ms)
    states = tuple(JobState(state) for state in deduplicate.while_)
    return _controlled(job, options, key, limit, Control.DEDUPLICATE, deduplicate.key, 0, states=states)


def _controlled(
    job: NewJob,
    options: FlowOptions,
    concurrency_key: str,
    concurrency_limit: int,
    kind: Control,
    key: str,
    period_ms: int,
    *,
    amount: int = 0,
    states: tuple[JobState, ...] = (),
) -> ControlledJob:
    return ControlledJob(
        job=job,
        lifo=options.lifo,
        concurrency_key=concurrency_key,
        concurrency_limit=concurrency_limit,
        control=kind,
        key=key,
        period_ms=period_ms,
        amount=amount,
        states=states,
    )


def _check_exclusive(options: FlowOptions) -> None:
    given = [name for name, kind in _KINDS.items() if _is_given(name, getattr(options, name), kind)]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other: give one of them")
    if options.debounce is not None and options.delayed:
        raise UsageError("debounce and delay exclude each other: debounce says itself when the job runs")
    if options.lifo and (options.delayed or options.debounce is not None):
        later = "delay" if options.delayed else "debounce"
        raise UsageError(f"lifo and {later} exclude each other: a delayed job takes its place when it is due")
    if options.deduplicate is not None and options.deduplicate.keep_latest and options.concurrency_key is not None:
        raise UsageError(
            "deduplicate.keep_latest and concurrency_key exclude each other: keep_latest runs one at a time"
        )


def _is_given(name: str, value: object, kind: type) -> bool:
    if value is not None and not isinstance(value, kind):
        raise UsageError.for_field(name, value, f"a {kind.__name__}")
    return value is not None


def _concurrency(options: FlowOptions) -> tuple[str, int]:
    if options.concurrency_key is None:
        if options.concurrency_limit is not None:
            raise UsageError.for_field("concurrency_limit", options.concurrency_limit, "given with a concurrency_key")
        return "", 0
    key = check_flow_key(options.concurrency_key, field="concurrency_key")
    return key, 0 if options.concurrency_limit is None else _checked_limit(options.concurrency_limit)


def _checked_limit(limit: object) -> int:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise UsageError.for_field("concurrency_limit", limit, "an integer, 1 or more")
    return limit


def rejection(task: str, controlled: ControlledJob | NewJob, admission: Admission | bool) -> TaskoraError | None:
    """Why a dispatch was rejected; None if it was not, or if an id was simply taken."""
    if isinstance(controlled, NewJob) or isinstance(admission, bool):
        return None
    if admission.verdict is Verdict.THROTTLED:
        return ThrottledError(key=controlled.key, task=task)
    if admission.verdict is Verdict.DUPLICATE:
        return DuplicateJobError(key=controlled.key, existing_id=admission.job_id, task=task)
    return None


def followed(
    task: str, job: ControlledJob | NewJob, reply: Admission | bool
) -> tuple[str, str | None, TaskoraError | None]:
    """Which job a caller should follow, the same again if it was there before, and why there is none."""
    if isinstance(reply, bool):
        job_id = job.job_id if isinstance(job, NewJob) else job.job.job_id
        return job_id, None if reply else job_id, None
    if reply.verdict is Verdict.CREATED:
        return reply.job_id, None, None
    rejected = rejection(task, job, reply) if reply.verdict is Verdict.THROTTLED else None
    return reply.job_id, reply.job_id if rejected is None else None, rejected
