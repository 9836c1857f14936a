"""Operations of operators and of the keyspace: cancelling, reviving, deleting, meeting."""

from collections.abc import Sequence
from enum import Enum
from typing import Literal, Self, TypeAlias

from taskora.contracts import JobState
from taskora.contracts.records import record, replace
from taskora.wire._operation import Operation
from taskora.wire._version import Meta, StoredMeta

FinalState: TypeAlias = Literal[JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED]


class CancelReply(Enum):
    """What a cancellation found. The values are those of `lua/cancel.lua`."""

    UNKNOWN = 0
    CANCELLED = 1
    REQUESTED = 2
    ENDED = 3


@record
class Cancel(Operation[CancelReply]):
    """Cancels a job that has not ended; if it is active, asks the worker that runs it."""

    task: str
    job_id: str
    reason: str = ""
    resend: bool = False

    def again(self) -> Self:
        return replace(self, resend=True)


@record
class Revived:
    """Reply of `RetryDead`: the jobs that wait again, and the steps of workflows that were left alone."""

    job_ids: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()


@record
class RetryDead(Operation[Revived]):
    """Revives failed jobs, or, when no ids are given, the `limit` oldest after the first `offset`.

    Steps of workflows are only revived with a `workflow_try`, the try of their workflow in which they live again; 0 for
    those whose workflow is gone. A `request`, any text without spaces, is remembered for a minute, so that one that is
    sent again tells what the first one told.
    """

    task: str
    job_ids: Sequence[str] = ()
    offset: int = 0
    limit: int = 100
    workflow_try: int | None = None
    request: str = ""
    resend: bool = False

    def again(self) -> Self:
        return replace(self, resend=True)


@record
class RemoveFinished(Operation[bool]):
    """Deletes one ended job; false when it is not in that state. `request` is as that of `RetryDead`."""

    task: str
    state: FinalState
    job_id: str
    request: str = ""
    resend: bool = False

    def again(self) -> Self:
        return replace(self, resend=True)


@record
class Pruned:
    """Reply of `Prune`: how many jobs were deleted. With a `cursor` there are more, to be looked at in another call."""

    removed: int
    cursor: int | None


@record
class Prune(Operation[Pruned]):
    """Deletes ended jobs by age, then by number; looks at the oldest `limit` behind the cursor. None keeps all.

    Those whose workflow may not know of their end stay, and what ended less than `spared_ms` ago: a dispatch of it may
    be sent again for so long.
    """

    task: str
    state: FinalState
    max_age_ms: int | None
    max_items: int | None
    spared_ms: int = 0
    limit: int = 1000
    cursor: int = 0


@record
class Handshake(Operation[StoredMeta]):
    """Writes our meta record if there is none, and returns what is stored."""

    ours: Meta


@record
class ReadMigrationLock(Operation[bytes]):
    """The JSON text of the migration lock, or nothing."""


@record
class CancelSteps(Operation[tuple[CancelReply, ...]]):
    """As `Cancel`, for jobs of a workflow that has stopped; one that was not enqueued yet is prevented (`UNKNOWN`).

    Jobs that were revived in a later try of the workflow than `workflow_try` are left alone.
    """

    task: str
    job_ids: Sequence[str]
    reason: str = ""
    workflow_try: int = 0
