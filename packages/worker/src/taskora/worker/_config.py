"""How a worker is set up. Validated once, where it is written."""

from typing import Final, TypeVar

from taskora.contracts import Duration, Retry, Stall, Ttl, UsageError, to_milliseconds
from taskora.contracts.records import field, record

T = TypeVar("T")

DEFAULT_LEASE: Final = "30s"
# Renewed three times within, over a network: what is shorter would be lost by every hiccup.
SHORTEST_LEASE_MS: Final = 100


@record
class Defaults:
    """Options of tasks whose contract and implementation say nothing.

    Attributes:
        retry: When failed attempts are run again; by default never.
        timeout: How long one attempt may take; None for as long as it takes.
        concurrency: How many jobs of one task this worker runs at once.
        prefetch: How many more it may claim while handlers end sooner than a round trip; None for as many as make four
            together with those that run, and for none of tasks with `Stall(max_count=0)`.
        stall: What happens when a worker dies.
        ttl: How long jobs may wait for their first attempt; None for as long as it takes.
    """

    retry: Retry | None = None
    timeout: Duration | None = "30s"
    concurrency: int = 1
    prefetch: int | None = None
    stall: Stall = field(default_factory=Stall)
    ttl: Ttl | None = None
    timeout_ms: int | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        timeout_ms = None if self.timeout is None else to_milliseconds(self.timeout, field="timeout")
        object.__setattr__(self, "timeout_ms", timeout_ms)
        check_count("concurrency", self.concurrency)
        if self.prefetch is not None:
            check_count("prefetch", self.prefetch, least=0)
        check_instance("retry", self.retry, Retry)
        check_instance("stall", self.stall, Stall)
        check_instance("ttl", self.ttl, Ttl)


@record
class Keep:
    """How long, and how many, ended jobs are kept; None for no limit, 0 for none at all.

    Whichever limit is met first counts, but no job is deleted within a minute of its end, unless none is kept at all.
    """

    max_age: Duration | None = None
    max_items: int | None = None
    max_age_ms: int | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        max_age_ms = None
        if self.max_age is not None:
            max_age_ms = to_milliseconds(self.max_age, field="max_age", allow_zero=True)
        object.__setattr__(self, "max_age_ms", max_age_ms)
        if self.max_items is not None:
            check_count("max_items", self.max_items, least=0)

    @property
    def nothing(self) -> bool:
        """Whether ended jobs are not to be kept at all."""
        return self.max_age_ms == 0 or self.max_items == 0


@record
class Retention:
    """What is kept of ended jobs, per task."""

    completed: Keep = field(default_factory=lambda: Keep(max_age="1h", max_items=100))
    failed: Keep = field(default_factory=lambda: Keep(max_age="7d", max_items=300))
    cancelled: Keep = field(default_factory=lambda: Keep(max_age="7d", max_items=300))
    expired: Keep = field(default_factory=lambda: Keep(max_age="7d", max_items=300))


@record
class SchedulerConfig:
    """How a worker takes part in running schedules.

    Attributes:
        poll_interval: How often it looks whether it may lead; the leader also looks when something is due.
        lock_ttl: How long the leader leads when nothing is heard of it, and how long what it has claimed stays with it.
    """

    poll_interval: Duration = "1s"
    lock_ttl: Duration = "30s"
    poll_interval_ms: int = field(init=False, repr=False)
    lock_ttl_ms: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        poll_interval_ms = to_milliseconds(self.poll_interval, field="scheduler.poll_interval")
        lock_ttl_ms = to_milliseconds(self.lock_ttl, field="scheduler.lock_ttl")
        if lock_ttl_ms < 2 * poll_interval_ms:
            raise UsageError.for_field("scheduler.lock_ttl", self.lock_ttl, "at least twice the poll_interval")
        object.__setattr__(self, "poll_interval_ms", poll_interval_ms)
        object.__setattr__(self, "lock_ttl_ms", lock_ttl_ms)


def check_lease(lease: Duration) -> int:
    """The lifetime of a lease in milliseconds; `UsageError` if it is none that can be kept."""
    lease_ms = to_milliseconds(lease, field="lease")
    if lease_ms < SHORTEST_LEASE_MS:
        raise UsageError.for_field("lease", lease, f"at least {SHORTEST_LEASE_MS}ms")
    return lease_ms


def check_instance(name: str, value: T | None, expected: type[T]) -> T | None:
    """The value if it is of a class, or None; `UsageError` otherwise."""
    if value is not None and not isinstance(value, expected):
        raise UsageError.for_field(name, value, f"{expected.__name__}(...) or None")
    return value


def check_count(name: str, value: object, *, least: int = 1) -> int:
    """The value if it is a whole number that is large enough; `UsageError` otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError.for_field(name, value, f"an integer, {least} or more")
    return value
