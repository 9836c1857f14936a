"""From how an attempt ended to what is stored."""

import logging
import random
from typing import Any, Final

from taskora.contracts import JobTimeoutError, RetryError
from taskora.wire import Claim, Outcome, OutcomeKind
from taskora.worker._attempt import Attempt, StopReason
from taskora.worker._implementation import Implementation
from taskora.worker._pacing import TooFastError

logger = logging.getLogger("taskora.worker")

# An error text is stored in the job and in its events; what is longer helps nobody.
LONGEST_ERROR: Final = 16_384

# Looked up once: before Python 3.12 the members of an enumeration are slow to find.
_COMPLETED: Final = OutcomeKind.COMPLETED


class TooOldError(Exception):
    """The payload is of an older version than this worker still accepts."""


def completed(claim: Claim, result: bytes) -> Outcome:
    """The attempt has a result."""
    return Outcome(kind=_COMPLETED, job_id=claim.job_id, token=claim.token, payload=result, plain=claim.plain)


def cancelled(claim: Claim) -> Outcome:
    """The attempt was stopped because somebody cancelled the job."""
    return Outcome(kind=OutcomeKind.CANCELLED, job_id=claim.job_id, token=claim.token)


def released(claim: Claim) -> Outcome:
    """The job goes back without having spent an attempt."""
    return Outcome(kind=OutcomeKind.RELEASED, job_id=claim.job_id, token=claim.token)


def declined(claim: Claim, delay_ms: int = 0) -> Outcome:
    """The job goes back as it came: no handler has started."""
    return Outcome(kind=OutcomeKind.DECLINED, job_id=claim.job_id, token=claim.token, delay_ms=delay_ms)


def failed(claim: Claim, error: BaseException, implementation: Implementation[Any, Any]) -> Outcome:
    """The attempt failed: again by policy, or for good."""
    text = error_text(error)
    if isinstance(error, TooOldError) or not implementation.retry.should_retry(error, claim.attempt):
        return Outcome(kind=OutcomeKind.FAILED, job_id=claim.job_id, token=claim.token, payload=text)
    delay_ms = error.delay_ms if isinstance(error, RetryError) else None
    if delay_ms is None:
        delay_ms = _backoff_ms(claim, implementation)
    return Outcome(kind=OutcomeKind.RETRYING, job_id=claim.job_id, token=claim.token, payload=text, delay_ms=delay_ms)


def _backoff_ms(claim: Claim, implementation: Implementation[Any, Any]) -> int:
    try:
        return implementation.retry.backoff_ms(claim.attempt, uniform=random.random)
    except Exception:
        logger.exception("backoff_failed", extra={"task": implementation.task, "job": claim.job_id})
        return implementation.retry.delay_ms


def ended_with_error(attempt: Attempt, error: BaseException, implementation: Implementation[Any, Any]) -> Outcome:
    """An attempt that raised, for whatever reason."""
    claim = attempt.claim
    if isinstance(error, TooFastError):
        return declined(claim, error.wait_ms)
    match attempt.stop_reason:
        case StopReason.TIMEOUT:
            return failed(claim, timeout_error(attempt, implementation), implementation)
        case StopReason.CANCELLED:
            return cancelled(claim)
        case StopReason.SHUTDOWN:
            return released(claim) if attempt.began else declined(claim)
        case _:
            return failed(claim, error, implementation)


def timeout_error(attempt: Attempt, implementation: Implementation[Any, Any]) -> JobTimeoutError:
    """What an attempt that took too long fails with."""
    timeout_ms = implementation.timeout_ms or 0
    return JobTimeoutError(job_id=attempt.claim.job_id, task=implementation.task, timeout_ms=timeout_ms)


def error_text(error: BaseException) -> bytes:
    """The stored text of an error: its message, or its type where it has none."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error of the user's that cannot even say what it is
        text = ""
    text = text or type(error).__name__
    if len(text) > LONGEST_ERROR:
        text = f"{text[:LONGEST_ERROR]}... ({len(text) - LONGEST_ERROR} more characters)"
    return text.encode("utf-8", "backslashreplace")
