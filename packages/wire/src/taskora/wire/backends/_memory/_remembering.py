"""Requests that leave no record under their own id, kept for a while to know those that are sent again."""

from typing import Final

from taskora.wire.backends._memory._task import TaskStore

_REMEMBER_MS: Final = 60_000


def remember(task: TaskStore, job_id: str, answer: str, now_ms: int) -> None:
    """Notes the answer to a request."""
    task.values.set(f"sent:{job_id}", answer, now_ms, lasts_ms=_REMEMBER_MS)


def recall(task: TaskStore, job_id: str, now_ms: int) -> str | None:
    """The answer to a request that was carried out a short while ago."""
    return task.values.get(f"sent:{job_id}", now_ms)
