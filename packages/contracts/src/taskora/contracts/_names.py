"""Which texts may become part of a key: task names, job ids, application prefixes."""

from __future__ import annotations

import re
from typing import Final

from taskora.contracts._errors import ContractError, UsageError

# Braces would move a key to another cluster slot, colons would forge other keys, and the rest trips people.
_SAFE: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SAFE_RULE: Final = "1 to 128 characters out of A-Z a-z 0-9 . _ -"

# A job's key is the task's prefix plus the id, and so are these keys of the task.
RESERVED_JOB_IDS: Final = frozenset(
    {
        "active", "cancel", "cancelled", "completed", "delayed", "events", "expired", "failed",
        "marker", "meta", "prioritized", "stalled", "wait",
    }
)  # fmt: skip


def check_task_name(value: object, *, field: str = "name") -> str:
    """Return the name of a task if it can be one; `ContractError` otherwise."""
    if isinstance(value, str) and _SAFE.fullmatch(value):
        return value
    raise ContractError.for_field(field, value, _SAFE_RULE)


def check_job_id(value: object, *, field: str = "job_id") -> str:
    """Return a job's id if it can be one; `UsageError` otherwise."""
    if not (isinstance(value, str) and _SAFE.fullmatch(value)):
        raise UsageError.for_field(field, value, _SAFE_RULE)
    if value in RESERVED_JOB_IDS:
        raise UsageError.for_field(field, value, f"none of the reserved words {', '.join(sorted(RESERVED_JOB_IDS))}")
    return value


def check_prefix(value: object, *, field: str = "prefix") -> str:
    """Return an application's key prefix if it can be one; `UsageError` otherwise."""
    if isinstance(value, str) and _SAFE.fullmatch(value):
        return value
    raise UsageError.for_field(field, value, _SAFE_RULE)
