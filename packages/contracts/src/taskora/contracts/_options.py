"""Options of a task that are plain data."""

from __future__ import annotations

from typing import Literal, get_args

from taskora.contracts._durations import Duration, to_milliseconds
from taskora.contracts._errors import ContractError
from taskora.contracts.records import field, record

OnExpire = Literal["fail", "discard"]


@record
class Stall:
    """What happens to jobs whose worker died.

    Attributes:
        interval: How often each worker looks for them.
        max_count: How often one job may be handed on, 0 or more; once more, and it fails.
    """

    interval: Duration = field(default="30s", compare=False)
    max_count: int = 1
    interval_ms: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "interval_ms", to_milliseconds(self.interval, field="interval", error=ContractError))
        if not is_integer(self.max_count) or self.max_count < 0:
            raise ContractError.for_field("max_count", self.max_count, "an integer, 0 or more")


@record
class Ttl:
    """How long jobs may wait for a worker before they are not worth doing.

    It is noticed when a worker would start the job: while none runs, nothing expires.

    Attributes:
        max: The time from dispatch until the start of the first attempt, a delay included; a dispatch may name its own.
        on_expire: `"fail"` keeps an expired job for inspection, `"discard"` leaves no trace of it but that those who
            wait for it, or ask within ten minutes, are told that it expired.
    """

    max: Duration = field(default="1h", compare=False)
    on_expire: OnExpire = "fail"
    max_ms: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_ms", to_milliseconds(self.max, field="max", error=ContractError))
        if self.on_expire not in get_args(OnExpire):
            raise ContractError.for_field("on_expire", self.on_expire, '"fail" or "discard"')


def is_integer(value: object) -> bool:
    """Whether a value is an int and not a bool, which Python counts as one."""
    return isinstance(value, int) and not isinstance(value, bool)
