"""Contracts between the producers and the workers of a task. Needs nothing but the standard library."""

from typing import TYPE_CHECKING

from taskora.contracts.loading import lazily

if TYPE_CHECKING:
    from taskora.contracts._compositions import chain, chord, group
    from taskora.contracts._contract import (
        UNSET,
        CollectingContract,
        ContractOptions,
        PlainOptions,
        TaskContract,
        Unset,
        UnsetType,
        collecting,
        define_task,
        is_contract,
    )
    from taskora.contracts._cron import canonical_cron
    from taskora.contracts._durations import Duration, format_milliseconds, to_milliseconds, to_seconds
    from taskora.contracts._errors import (
        BackendError,
        BatchFullError,
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
    from taskora.contracts._flow_control import (
        Collect,
        Debounce,
        Deduplicate,
        FlowKey,
        RateLimit,
        Throttle,
        check_flow_key,
    )
    from taskora.contracts._migrations import Migration, Migrations, MigrationStep, into, migration_steps
    from taskora.contracts._names import RESERVED_JOB_IDS, check_job_id, check_prefix, check_task_name
    from taskora.contracts._options import OnExpire, Stall, Ttl
    from taskora.contracts._retry import Backoff, ErrorPattern, Retry
    from taskora.contracts._schedule import OnMissed, Schedule, ScheduleOptions, check_schedule_options
    from taskora.contracts._signatures import MAX_STEPS, Chain, Chord, Group, Signature, Step, is_signature
    from taskora.contracts._states import INITIAL_STATES, TRANSITIONS, JobState
    from taskora.contracts._static import static_contract
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "._compositions": "chain chord group",
            "._contract": (
                "UNSET CollectingContract ContractOptions PlainOptions TaskContract Unset UnsetType collecting "
                "define_task is_contract"
            ),
            "._cron": "canonical_cron",
            "._durations": "Duration format_milliseconds to_milliseconds to_seconds",
            "._errors": (
                "BackendError BatchFullError ContractError DuplicateJobError Issue TaskoraError ThrottledError "
                "UnknownJobError UsageError ValidationError WireVersionCode WireVersionError WireVersions preview"
            ),
            "._failures": "ExpiredError JobCancelledError JobFailedError JobTimeoutError RetryError StalledError",
            "._flow_control": "Collect Debounce Deduplicate FlowKey RateLimit Throttle check_flow_key",
            "._migrations": "Migration Migrations MigrationStep into migration_steps",
            "._names": "RESERVED_JOB_IDS check_job_id check_prefix check_task_name",
            "._options": "OnExpire Stall Ttl",
            "._retry": "Backoff ErrorPattern Retry",
            "._schedule": "OnMissed Schedule ScheduleOptions check_schedule_options",
            "._signatures": "MAX_STEPS Chain Chord Group Signature Step is_signature",
            "._states": "INITIAL_STATES TRANSITIONS JobState",
            "._static": "static_contract",
        },
    )

__all__ = [
    "INITIAL_STATES",
    "MAX_STEPS",
    "RESERVED_JOB_IDS",
    "TRANSITIONS",
    "UNSET",
    "BackendError",
    "Backoff",
    "BatchFullError",
    "Chain",
    "Chord",
    "Collect",
    "CollectingContract",
    "ContractError",
    "ContractOptions",
    "Debounce",
    "Deduplicate",
    "DuplicateJobError",
    "Duration",
    "ErrorPattern",
    "ExpiredError",
    "FlowKey",
    "Group",
    "Issue",
    "JobCancelledError",
    "JobFailedError",
    "JobState",
    "JobTimeoutError",
    "Migration",
    "MigrationStep",
    "Migrations",
    "OnExpire",
    "OnMissed",
    "PlainOptions",
    "RateLimit",
    "Retry",
    "RetryError",
    "Schedule",
    "ScheduleOptions",
    "Signature",
    "Stall",
    "StalledError",
    "Step",
    "TaskContract",
    "TaskoraError",
    "Throttle",
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
    "canonical_cron",
    "chain",
    "check_flow_key",
    "check_job_id",
    "check_prefix",
    "check_schedule_options",
    "check_task_name",
    "chord",
    "collecting",
    "define_task",
    "format_milliseconds",
    "group",
    "into",
    "is_contract",
    "is_signature",
    "migration_steps",
    "preview",
    "static_contract",
    "to_milliseconds",
    "to_seconds",
]
