"""When a failed attempt is run again, and how much later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias, cast

from taskora.contracts._durations import LONGEST_MS, Duration, to_milliseconds
from taskora.contracts._errors import ContractError, UsageError, ValidationError
from taskora.contracts._failures import ExpiredError, JobCancelledError, JobTimeoutError, RetryError
from taskora.contracts._options import is_integer
from taskora.contracts.records import field, record

Backoff: TypeAlias = Literal["fixed", "exponential", "linear"] | Callable[[int], Duration]
ErrorPattern: TypeAlias = type[BaseException] | str
"""An exception class, or its name, plain or dotted (`"billing.errors.CardDeclined"`)."""

_STRATEGIES: Final = ("fixed", "exponential", "linear")
_LONGEST_DOUBLING: Final = LONGEST_MS.bit_length()

# The same data fails validation again, and the rest are decisions about the job rather than accidents in it.
_NOT_RETRIED_UNASKED: Final = (ValidationError, JobTimeoutError, JobCancelledError, ExpiredError)


@record
class Retry:
    """How often a job may run, and how long to wait between runs.

    Attributes:
        attempts: Total number of runs, the first one included.
        backoff: How the delay grows with the number n of the failed attempt: `"exponential"` is
            `delay * 2 ** (n - 1)`, `"linear"` is `delay * n`, `"fixed"` is `delay`; or a function of n.
        delay: The delay to start from.
        max_delay: No delay is longer than this.
        jitter: Spread delays by up to a quarter to either side, so that what fails together does not return
            together.
        retry_on: If given, only these errors are retried.
        no_retry_on: These errors are never retried, not even if they are in `retry_on`.
    """

    attempts: int = 3
    backoff: Backoff = "exponential"
    delay: Duration = field(default="1s", compare=False)
    max_delay: Duration | None = field(default=None, compare=False)
    jitter: bool = True
    retry_on: tuple[ErrorPattern, ...] = ()
    no_retry_on: tuple[ErrorPattern, ...] = ()
    delay_ms: int = field(init=False, repr=False)
    max_delay_ms: int | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not is_integer(self.attempts) or self.attempts < 1:
            raise ContractError.for_field("attempts", self.attempts, "an integer, 1 or more")
        if not callable(self.backoff) and self.backoff not in _STRATEGIES:
            raise ContractError.for_field("backoff", self.backoff, f"one of {', '.join(_STRATEGIES)}, or a function")
        if not isinstance(cast("object", self.jitter), bool):
            raise ContractError.for_field("jitter", self.jitter, "True or False")
        _check_patterns("retry_on", self.retry_on)
        _check_patterns("no_retry_on", self.no_retry_on)
        delay_ms = to_milliseconds(self.delay, field="delay", error=ContractError, allow_zero=True)
        object.__setattr__(self, "delay_ms", delay_ms)
        max_delay_ms = (
            None if self.max_delay is None else to_milliseconds(self.max_delay, field="max_delay", error=ContractError)
        )
        object.__setattr__(self, "max_delay_ms", max_delay_ms)

    def backoff_ms(self, attempt: int, *, uniform: Callable[[], float]) -> int:
        """Return how long to wait after a failed attempt.

        Args:
            attempt: Number of the attempt that failed, from 1.
            uniform: Returns a random number, at least 0 and less than 1.
        """
        longest = LONGEST_MS if self.max_delay_ms is None else self.max_delay_ms
        delay_ms = min(self._grown_ms(max(attempt, 1)), longest)
        if self.jitter:
            # Capped before, so that jobs at the cap still spread, and after, because a maximum is a promise:
            # capping only before would let a delay exceed it by a quarter.
            delay_ms = min(round(delay_ms * (0.75 + uniform() / 2)), longest)
        return delay_ms

    def should_retry(self, error: BaseException, attempt: int) -> bool:
        """Whether a job goes on after this error.

        An explicit `RetryError` always does while attempts remain. Otherwise `no_retry_on` wins over
        `retry_on`, and validation errors, timeouts, cancellation and expiry must be asked for in `retry_on`.

        Args:
            error: What the attempt raised.
            attempt: Number of the attempt that failed, from 1.
        """
        if attempt >= self.attempts:
            return False
        if isinstance(error, RetryError):
            return True
        if matches(error, self.no_retry_on):
            return False
        if self.retry_on:
            return matches(error, self.retry_on)
        return not isinstance(error, _NOT_RETRIED_UNASKED)

    def _grown_ms(self, attempt: int) -> int:
        if callable(self.backoff):
            chosen = self.backoff(attempt)
            return to_milliseconds(chosen, field=f"backoff({attempt})", error=UsageError, allow_zero=True)
        match self.backoff:
            case "fixed":
                return self.delay_ms
            case "linear":
                return self.delay_ms * attempt
            case "exponential":
                # More doublings than this are past every cap, and would only build huge numbers.
                return self.delay_ms << min(attempt - 1, _LONGEST_DOUBLING)


def matches(error: BaseException, patterns: tuple[ErrorPattern, ...]) -> bool:
    """Whether an error is an instance of one of the classes, or one of its classes has one of the names."""
    names: set[str] = set()
    for cls in type(error).__mro__:
        names |= {cls.__name__, f"{cls.__module__}.{cls.__qualname__}"}
    return any(pattern in names if isinstance(pattern, str) else isinstance(error, pattern) for pattern in patterns)


def _check_patterns(field_name: str, patterns: object) -> None:
    if not _are_patterns(patterns):
        raise ContractError.for_field(field_name, patterns, "a tuple of exception classes or their names")


def _are_patterns(patterns: object) -> bool:
    return isinstance(patterns, tuple) and all(_is_pattern(item) for item in cast("tuple[object, ...]", patterns))


def _is_pattern(item: object) -> bool:
    if isinstance(item, str):
        return all(part.isidentifier() for part in item.split("."))
    return isinstance(item, type) and issubclass(item, BaseException)
