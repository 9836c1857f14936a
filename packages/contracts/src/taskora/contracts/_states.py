"""The states of a job and the moves between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class JobState(StrEnum):
    """Where a job is in its life. The values are those stored in the server."""

    WAITING = "waiting"
    DELAYED = "delayed"
    ACTIVE = "active"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        """Whether the job is finished: nothing moves it any more, except a person retrying a failed one."""
        return self in _TERMINAL


_TERMINAL: Final = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})

INITIAL_STATES: Final = frozenset({JobState.WAITING, JobState.DELAYED})
"""Where a job may begin."""

TRANSITIONS: Final[Mapping[JobState, frozenset[JobState]]] = MappingProxyType(
    {
        # A claim puts aside what it may not run: a job whose payload is too new for the worker goes back to delayed, as
        # does one that is active already and over the rate limit of its key.
        JobState.WAITING: frozenset({JobState.ACTIVE, JobState.DELAYED, JobState.EXPIRED, JobState.CANCELLED}),
        JobState.DELAYED: frozenset({JobState.WAITING, JobState.EXPIRED, JobState.CANCELLED}),
        # A job that waits for its next attempt is promoted like a delayed one, and so it can expire like one.
        JobState.RETRYING: frozenset({JobState.WAITING, JobState.EXPIRED, JobState.CANCELLED}),
        JobState.ACTIVE: frozenset(
            {
                JobState.COMPLETED,
                JobState.RETRYING,
                JobState.FAILED,
                JobState.WAITING,
                JobState.DELAYED,
                JobState.CANCELLED,
            }
        ),
        JobState.FAILED: frozenset({JobState.WAITING}),
        JobState.COMPLETED: frozenset(),
        JobState.CANCELLED: frozenset(),
        JobState.EXPIRED: frozenset(),
    }
)
"""From each state, the states that may follow it."""
