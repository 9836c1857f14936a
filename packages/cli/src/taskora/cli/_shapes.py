"""What `--json` prints: the shapes that scripts rely on. Only additions are allowed; docs/guides/cli.md shows them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from taskora.producer import JobInfo, TaskStats


Shape: TypeAlias = dict[str, object]


def iso(timestamp_ms: int | None) -> str | None:
    """Epoch milliseconds as ISO 8601 in UTC, `2025-01-31T12:00:00.000Z`."""
    if timestamp_ms is None:
        return None
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # what another program stored may be any number
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stats_shape(tasks: "dict[str, TaskStats]") -> Shape:
    """Counts by task."""
    return {"tasks": {name: _counts(stats) for name, stats in tasks.items()}}


def _counts(stats: "TaskStats") -> Shape:
    age = stats.oldest_waiting_age
    return {
        "waiting": stats.waiting,
        "active": stats.active,
        "delayed": stats.delayed,
        "completed": stats.completed,
        "failed": stats.failed,
        "expired": stats.expired,
        "cancelled": stats.cancelled,
        "oldest_waiting_age_ms": None if age is None else round(age * 1000),
        "parked": stats.parked,
        "newer": stats.newer,
        "unserved": stats.unserved,
        "workers": stats.workers,
        "rate_limited_until_ms": stats.rate_limited_until_ms,
    }


def job_shape(info: "JobInfo") -> Shape:
    """One job."""
    return {
        "id": info.id,
        "task": info.task,
        "state": info.state.value,
        "attempt": info.attempt,
        "max_attempts": info.max_attempts,
        "priority": info.priority,
        "version": info.version,
        "stalled_count": info.stalled_count,
        "parked_reason": None if info.parked_reason is None else info.parked_reason.value,
        **_moment("dispatched_at", info.timestamp_ms),
        **_moment("started_at", info.processed_on_ms),
        **_moment("finished_at", info.finished_on_ms),
        "data": info.data,
        "result": info.result,
        "progress": info.progress,
        "error": info.error,
        "cancel_reason": info.cancel_reason,
        "logs": [
            {"level": entry.level, "message": entry.message, **_moment("at", entry.timestamp_ms), "meta": entry.meta}
            for entry in info.logs
        ],
        "timeline": [{"state": entry.state.value, **_moment("at", entry.timestamp_ms)} for entry in info.timeline],
    }


def _moment(name: str, timestamp_ms: int | None) -> Shape:
    return {name: iso(timestamp_ms), f"{name}_ms": timestamp_ms}
