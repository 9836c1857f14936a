"""From payloads and options to jobs: every rule is checked before anything is sent."""

from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar, cast

from taskora.contracts import Duration, TaskContract, UsageError, check_job_id, to_milliseconds
from taskora.producer._dispatching import (
    HIGHEST_PRIORITY,
    AnyJob,
    DispatchItem,
    DispatchOptions,
    DispatchRules,
    check_names,
    check_size,
    data_and_options,
    encode_payload,
    is_integer,
)
from taskora.producer._flow_control import FlowOptions, control
from taskora.producer._payload import Payloads
from taskora.wire import AlikeJobs, NewJob, random_id, random_ids

I = TypeVar("I")  # noqa: E741 - input

_FLAGS: Final = ("lifo", "raise_on_reject", "skip_validation")


class JobBuilder(Generic[I]):
    """Makes the jobs of one task; what is the same for all of them is settled once.

    What its methods raise:
        TypeError: there is no such option.
        UsageError: an option breaks a rule, or the encoded payload is too large.
        ValidationError: the payload does not fit the contract.
    """

    __slots__ = ("_contract", "_encode", "_encode_all", "_largest", "_payloads", "_rules", "_ttl_ms")

    def __init__(self, contract: TaskContract[I, Any], payloads: Payloads[I, Any], rules: DispatchRules) -> None:
        self._contract: Final = contract
        self._payloads: Final = payloads
        self._rules: Final = rules
        checked = rules.validate and contract.validates_input
        self._encode: Final = payloads.input.pack if checked else payloads.input.encode
        self._encode_all: Final = payloads.input.pack_all if checked else payloads.input.encode_all
        self._largest: Final = rules.max_payload
        self._ttl_ms: Final = 0 if contract.ttl is None else contract.ttl.max_ms

    def build(self, data: I, options: DispatchOptions) -> AnyJob:
        """One job; without flow control it comes out plain."""
        if options:
            return self._build_with(data, options)
        payload = self._encode(data)
        if len(payload) > self._largest:
            check_size(self._contract, self._rules, payload)
        return NewJob(job_id=random_id(), data=payload, ttl_ms=self._ttl_ms)

    def build_item(self, item: I | DispatchItem[I]) -> AnyJob:
        """One job of several."""
        data, options = data_and_options(item)
        return self.build(data, options)

    def build_all(self, items: Sequence[I | DispatchItem[I]]) -> Sequence[AnyJob]:
        """A whole batch; one bad item refuses all of it."""
        if any(issubclass(kind, DispatchItem) for kind in set(map(type, items))):
            return self._build_each(items)
        payloads: list[bytes] = []
        try:
            self._encode_all(cast("Sequence[I]", items), payloads)
        except Exception as error:  # a validator of the user's may raise what it likes
            _note_position(error, len(payloads))
            raise
        if max(map(len, payloads), default=0) > self._largest:
            self._check_sizes(payloads)
        return AlikeJobs(random_ids(len(payloads)), payloads, ttl_ms=self._ttl_ms)

    def _build_each(self, items: Sequence[I | DispatchItem[I]]) -> list[AnyJob]:
        jobs: list[AnyJob] = []
        try:
            for item in items:
                jobs.append(self.build_item(item))  # noqa: PERF401 - what is there tells which one failed
        except Exception as error:
            _note_position(error, len(jobs))
            raise
        return jobs

    def _check_sizes(self, payloads: Sequence[bytes]) -> None:
        for position, payload in enumerate(payloads):
            try:
                check_size(self._contract, self._rules, payload)
            except UsageError as error:
                _note_position(error, position)
                raise

    def _build_with(self, data: I, options: DispatchOptions) -> AnyJob:
        check_names(options)
        _check_flags(options)
        contract, rules = self._contract, self._rules
        checked = rules.validate and contract.validates_input and not options.get("skip_validation", False)
        job_id, delay = options.get("job_id"), options.get("delay")
        job = NewJob(
            job_id=random_id() if job_id is None else check_job_id(job_id),
            data=encode_payload(contract, self._payloads, rules, data, checked=checked),
            delay_ms=0 if delay is None else to_milliseconds(delay, field="delay", allow_zero=True),
            priority=_checked_priority(options.get("priority", 0)),
            ttl_ms=self._ttl_of(options.get("ttl")),
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

    def _ttl_of(self, ttl: Duration | None) -> int:
        return self._ttl_ms if ttl is None else to_milliseconds(ttl, field="ttl")


def _note_position(error: Exception, position: int) -> None:
    error.add_note(f"item {position} of the batch; nothing was dispatched")


def _check_flags(options: DispatchOptions) -> None:
    """Refuses flags that are none.

    Raises:
        UsageError: a flag is neither true nor false.
    """
    for name in _FLAGS:
        if not isinstance(options.get(name, False), bool):
            raise UsageError.for_field(name, options.get(name), "True or False")


def _checked_priority(priority: int) -> int:
    if not is_integer(priority) or not 0 <= priority <= HIGHEST_PRIORITY:
        raise UsageError.for_field("priority", priority, f"an integer from 0 to {HIGHEST_PRIORITY}")
    return priority
