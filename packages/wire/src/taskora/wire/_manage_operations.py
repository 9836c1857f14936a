"""Operations of operators and of the keyspace: cancelling, reviving, deleting, meeting."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from taskora.contracts import JobState
from taskora.wire._operation import Operation
from taskora.wire._version import Meta, StoredMeta

FinalState: TypeAlias = Literal[JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED]


class CancelReply(Enum):
    """What a cancellation found. The values are those of `lua/cancel.lua`."""

    UNKNOWN = 0
    CANCELLED = 1
    REQUESTED = 2
    ENDED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Operation[CancelReply]):
    """Cancels a job that has not ended; if it is active, asks the worker that runs it."""

    task: str
    job_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDead(Operation[tuple[str, ...]]):
    """Revives one failed job, or the `limit` oldest when no id is given; the reply names those that wait again."""

    task: str
    job_id: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFinished(Operation[bool]):
    """Deletes one ended job; false when it is not in that state."""

    task: str
    state: FinalState
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune(Operation[int]):
    """Deletes ended jobs by age, then by number, at most `limit` per call; the reply is how many. None keeps all."""

    task: str
    state: FinalState
    max_age_ms: int | None
    max_items: int | None
    limit: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake(Operation[StoredMeta]):
    """Writes our meta record if there is none, and returns what is stored."""

    ours: Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMigrationLock(Operation[bytes]):
    """The JSON text of the migration lock, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelStep(Operation[CancelReply]):
    """As `Cancel`, for a job of a workflow that has stopped; one that was not enqueued yet is prevented (`UNKNOWN`)."""

    task: str
    job_id: str
    reason: str = ""
