"""How much of a task may happen: what a dispatch asks for, and what a task allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from taskora.contracts._durations import Duration, to_milliseconds
from taskora.contracts._errors import UsageError
from taskora.contracts._options import is_integer
from taskora.contracts._states import JobState
from taskora.contracts.records import field, record

FlowKey: TypeAlias = str | Callable[[Any], str]
"""A key, or a function that makes it from a job's input."""

LONGEST_KEY: Final = 512
DEFAULT_WHILE: Final = ("waiting", "delayed", "active")
_DEDUP_STATES: Final = frozenset({JobState.WAITING, JobState.DELAYED, JobState.ACTIVE, JobState.RETRYING})


def check_flow_key(value: object, *, field: str = "key") -> str:
    """Return a flow-control key if it can be one: 1 to 512 characters, none of them a control character."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_KEY and value.isprintable():
        return value
    raise UsageError.for_field(field, value, f"1 to {LONGEST_KEY} printable characters")


@record
class Debounce:
    """Of dispatches that follow each other closely, only the last one runs: each replaces the one before it.

    Attributes:
        key: What the dispatches have in common.
        delay: How long after the last one the job runs.
    """

    key: str
    delay: Duration = field(compare=False)
    delay_ms: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_flow_key(self.key, field="debounce.key")
        object.__setattr__(self, "delay_ms", to_milliseconds(self.delay, field="debounce.delay"))


@record
class Throttle:
    """So many dispatches in a window of time, counted from the first that was accepted; the rest are rejected.

    Attributes:
        key: What the dispatches have in common.
        max: How many are accepted.
        window: How long they are counted together.
    """

    key: str
    max: int
    window: Duration = field(compare=False)
    window_ms: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_flow_key(self.key, field="throttle.key")
        if not is_integer(self.max) or self.max < 1:
            raise UsageError.for_field("throttle.max", self.max, "an integer, 1 or more")
        object.__setattr__(self, "window_ms", to_milliseconds(self.window, field="throttle.window"))


@record
class Deduplicate:
    """A dispatch is rejected, and gives a handle to the job that is there, while a job of the same key is unfinished.

    Attributes:
        key: What the dispatches have in common.
        while_: In which states a job counts: any of waiting, delayed, active, retrying.
        ttl: If given, a dispatch is a duplicate for exactly this long after one was accepted, whatever became of it.
        keep_latest: At most one job runs and one waits; a dispatch that finds one waiting gives it its own payload.
    """

    key: str
    while_: tuple[str, ...] = DEFAULT_WHILE
    ttl: Duration | None = field(default=None, compare=False)
    keep_latest: bool = False
    ttl_ms: int | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_flow_key(self.key, field="deduplicate.key")
        if not _are_states(self.while_):
            rule = f"a tuple out of {', '.join(sorted(_DEDUP_STATES))}"
            raise UsageError.for_field("deduplicate.while_", self.while_, rule)
        if not isinstance(cast("object", self.keep_latest), bool):
            raise UsageError.for_field("deduplicate.keep_latest", self.keep_latest, "True or False")
        if self.keep_latest and (self.ttl is not None or self.while_ != DEFAULT_WHILE):
            raise UsageError("deduplicate.keep_latest goes with neither ttl nor while_: it says itself what counts")
        if self.ttl is not None and self.while_ != DEFAULT_WHILE:
            raise UsageError(
                "deduplicate.ttl and deduplicate.while_ exclude each other: a window of time counts whatever the state"
            )
        ttl_ms = None if self.ttl is None else to_milliseconds(self.ttl, field="deduplicate.ttl")
        object.__setattr__(self, "ttl_ms", ttl_ms)


def _are_states(value: object) -> bool:
    if not isinstance(value, tuple):
        return False
    states = cast("tuple[object, ...]", value)
    return bool(states) and all(isinstance(state, str) and state in _DEDUP_STATES for state in states)


@record
class RateLimit:
    """How many attempts may start in any window of time, over all workers. Jobs over it wait; none is lost.

    Attributes:
        max: How many may start.
        window: In how much time; it slides.
        key: Counts apart for each key; a fixed one, or made from the input. None counts the whole task.
    """

    max: int
    window: Duration = field(compare=False)
    key: FlowKey | None = None
    window_ms: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not is_integer(self.max) or self.max < 1:
            raise UsageError.for_field("rate_limit.max", self.max, "an integer, 1 or more")
        object.__setattr__(self, "window_ms", to_milliseconds(self.window, field="rate_limit.window"))
        if self.key is not None and not callable(self.key):
            check_flow_key(self.key, field="rate_limit.key")


@record
class Collect:
    """Dispatches gather under a key and run as one job, whose input is the list of their payloads.

    Attributes:
        key: What gathers together: a fixed key, or one made from the input.
        delay: A batch runs this long after the last item came.
        max_size: A batch of this size runs at once; None for no limit but `max_items`.
        max_wait: A batch runs this long after its first item at the latest; None for no such limit.
        max_items: How many items one batch may hold while no worker takes it; more are refused.
    """

    key: FlowKey
    delay: Duration = field(compare=False)
    max_size: int | None = None
    max_wait: Duration | None = field(default=None, compare=False)
    max_items: int = 10_000
    delay_ms: int = field(init=False, repr=False)
    max_wait_ms: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not callable(self.key):
            check_flow_key(self.key, field="collect.key")
        object.__setattr__(self, "delay_ms", to_milliseconds(self.delay, field="collect.delay"))
        max_wait_ms = 0 if self.max_wait is None else to_milliseconds(self.max_wait, field="collect.max_wait")
        object.__setattr__(self, "max_wait_ms", max_wait_ms)
        if self.max_size is not None and (not is_integer(self.max_size) or self.max_size < 1):
            raise UsageError.for_field("collect.max_size", self.max_size, "an integer, 1 or more, or None")
        if not is_integer(self.max_items) or self.max_items < (self.max_size or 1):
            raise UsageError.for_field("collect.max_items", self.max_items, "an integer, max_size or more")
