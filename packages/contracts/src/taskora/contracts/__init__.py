"""Contracts between the producers and the workers of a task. Needs nothing but the standard library."""

from taskora.contracts._contract import (
    UNSET,
    ContractOptions,
    TaskContract,
    Unset,
    UnsetType,
    define_task,
    is_contract,
)
from taskora.contracts._durations import Duration, format_milliseconds, to_milliseconds, to_seconds
from taskora.contracts._errors import (
    BackendError,
    ContractError,
    DuplicateJobError,
    Issue,
    TaskoraError,
    ThrottledError,
    UnknownJobError,
    UsageError,
    ValidationError,
    WireVersionCode,
    WireVersionError,
    WireVersions,
    preview,
)
from taskora.contracts._failures import (
    ExpiredError,
    JobCancelledError,
    JobFailedError,
    JobTimeoutError,
    RetryError,
    StalledError,
)
from taskora.contracts._names import RESERVED_JOB_IDS, check_job_id, check_prefix, check_task_name
from taskora.contracts._options import OnExpire, Stall, Ttl
from taskora.contracts._retry import Backoff, ErrorPattern, Retry
from taskora.contracts._states import INITIAL_STATES, TRANSITIONS, JobState
from taskora.contracts._static import static_contract

__all__ = [
    "INITIAL_STATES",
    "RESERVED_JOB_IDS",
    "TRANSITIONS",
    "UNSET",
    "BackendError",
    "Backoff",
    "ContractError",
    "ContractOptions",
    "DuplicateJobError",
    "Duration",
    "ErrorPattern",
    "ExpiredError",
    "Issue",
    "JobCancelledError",
    "JobFailedError",
    "JobState",
    "JobTimeoutError",
    "OnExpire",
    "Retry",
    "RetryError",
    "Stall",
    "StalledError",
    "TaskContract",
    "TaskoraError",
    "ThrottledError",
    "Ttl",
    "UnknownJobError",
    "Unset",
    "UnsetType",
    "UsageError",
    "ValidationError",
    "WireVersionCode",
    "WireVersionError",
    "WireVersions",
    "check_job_id",
    "check_prefix",
    "check_task_name",
    "define_task",
    "format_milliseconds",
    "is_contract",
    "preview",
    "static_contract",
    "to_milliseconds",
    "to_seconds",
]
