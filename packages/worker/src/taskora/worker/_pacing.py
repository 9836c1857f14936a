"""How fast a worker starts the jobs of a task."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from taskora.contracts import RateLimit, check_flow_key
from taskora.wire import NO_PACE, Claim, Pace, ReserveStart

Reserve = Callable[[ReserveStart], Awaitable[int]]


class TooFastError(Exception):
    """The rate limit of the job's key has no place for it now; `wait_ms` says when it has."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(f"its rate limit lets it start in {wait_ms}ms")
        self.wait_ms: Final = wait_ms


def pace_of(rate_limit: RateLimit | None, *, singleton: bool) -> Pace:
    """What a claim has to know: limits that do not depend on payloads."""
    if rate_limit is None or callable(rate_limit.key):
        return Pace(singleton=True) if singleton else NO_PACE
    return Pace(singleton=singleton, max=rate_limit.max, window_ms=rate_limit.window_ms, key=rate_limit.key or "")


async def reserve_start(reserve: Reserve, task: str, rate_limit: RateLimit, claim: Claim, data: Any) -> None:
    """Takes a place in the rate limit of the key that a payload belongs to.

    Raises:
        TooFastError: the place lies in the future.
        UsageError: the key function gave something that is no key.
    """
    if not callable(rate_limit.key):
        return
    key = check_flow_key(rate_limit.key(data), field=f"rate_limit.key of task {task!r}")
    operation = ReserveStart(
        task=task,
        key=key,
        start_id=f"{claim.job_id}:{claim.attempt}",
        max=rate_limit.max,
        window_ms=rate_limit.window_ms,
    )
    wait_ms = await reserve(operation)
    if wait_ms > 0:
        raise TooFastError(wait_ms)
