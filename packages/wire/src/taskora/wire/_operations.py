"""What can be asked of a storage, as data.

An operation says what shall happen, not how: a backend turns it into one script call (Redis) or does it itself
(memory). `R` in `Operation[R]` is the type of the reply, so `await backend.run(Enqueue(...))` is fully typed.
Every operation is atomic. Replies that a caller must expect (lease lost, id taken) are values, never exceptions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, Literal, Self, TypeAlias, TypeVar

from taskora.contracts import JobState
from taskora.wire._job import JobRecord, JobStatus, LogEntry
from taskora.wire._version import Meta, StoredMeta

R = TypeVar("R", covariant=True)

OnExpire: TypeAlias = Literal["fail", "discard"]
FinalState: TypeAlias = Literal[JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[R]):
    """One atomic request; `R` is the type of its reply."""

    def again(self) -> Self:
        """The same request, to be sent when it is unknown whether the first one was executed."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to enqueue. `data` is the encoded payload; 0 means no delay, no priority, no time to live."""

    job_id: str
    data: bytes
    delay_ms: int = 0
    priority: int = 0
    ttl_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueue(Operation[tuple[bool, ...]]):
    """Creates jobs. The reply says, per job and in order, whether it was created; an id that exists is left alone."""

    task: str
    version: int
    max_attempts: int
    jobs: Sequence[NewJob]
    resend: bool = False

    def again(self) -> Self:
        return replace(self, resend=True)


class OutcomeKind(Enum):
    """How an attempt ended. The values are the words of `lua/exchange.lua`."""

    COMPLETED = "completed"
    RETRYING = "retrying"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one attempt. `payload` is the encoded result, or the error text."""

    kind: OutcomeKind
    job_id: str
    token: str
    payload: bytes = b""
    delay_ms: int = 0


class Settlement(Enum):
    """What became of an outcome. The values are those of `lua/exchange.lua`."""

    LOST = 0
    SETTLED = 1
    CANCEL_REQUESTED = 2
    REPEATED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to run one attempt of a job, as long as its lease is renewed."""

    job_id: str
    token: str
    data: bytes
    version: int
    attempt: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """Reply of `Exchange`. Times are those of the storage's clock."""

    now_ms: int
    due_ms: int | None
    settlements: tuple[Settlement, ...]
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange(Operation[Exchanged]):
    """Settles attempts that ended and claims up to `slots` ready jobs, in one step.

    `token` fences the jobs claimed by this call and must be fresh for every call. Claiming also promotes due jobs,
    and expires those that did not start in time as `on_expire` says.
    """

    task: str
    token: str
    lease_ms: int
    slots: int
    outcomes: Sequence[Outcome] = ()
    on_expire: OnExpire = "fail"
    resend: bool = False

    def again(self) -> Self:
        return replace(self, resend=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Names one claim: the job, and the token that fences it."""

    job_id: str
    token: str


class LeaseState(Enum):
    """What became of a lease that was renewed. The values are those of `lua/extend_leases.lua`."""

    CANCEL_REQUESTED = -1
    LOST = 0
    HELD = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendLeases(Operation[tuple[LeaseState, ...]]):
    """Renews leases from now; the reply has one state per lease, in order."""

    task: str
    lease_ms: int
    leases: Sequence[Lease]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Ids that a stall sweep gave back, failed for good, or finished cancelling."""

    recovered: tuple[str, ...]
    failed: tuple[str, ...]
    cancelled: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverStalled(Operation[Recovered]):
    """Gives back the active jobs whose worker is gone; one that stalled more than `max_count` times fails."""

    task: str
    max_count: int


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
class ReportEntry:
    """Progress or one log entry (JSON text) of an active job."""

    kind: Literal["progress", "log"]
    job_id: str
    token: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Operation[tuple[bool, ...]]):
    """Writes progress and logs in order; the reply says per entry whether its lease still held."""

    task: str
    entries: Sequence[ReportEntry]


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
class ReadStatuses(Operation[tuple[JobStatus | None, ...]]):
    """Where jobs stand, without their payloads; None for one that does not exist."""

    task: str
    job_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadJob(Operation[JobRecord | None]):
    """Everything about one job, logs included."""

    task: str
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLogs(Operation[tuple[LogEntry, ...]]):
    """The log of one job, oldest entry first."""

    task: str
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListJobs(Operation[tuple[JobRecord, ...]]):
    """A page of the jobs in one state, without logs.

    Waiting: in the order in which they will leave; active: oldest claim first; delayed, retrying: by due time;
    ended: newest first.
    """

    task: str
    state: JobState
    offset: int = 0
    limit: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCounts:
    """How many jobs a task has. `delayed` includes those that wait for their retry."""

    waiting: int
    active: int
    delayed: int
    completed: int
    failed: int
    expired: int
    cancelled: int
    oldest_waiting_age_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountJobs(Operation[JobCounts]):
    """Counts the jobs of a task."""

    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LastEvent(Operation[str]):
    """Position of the newest event of a task."""

    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """Some task names, and where to go on; `cursor` "0" ends the scan. A name may come twice."""

    cursor: str
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanTasks(Operation[TaskPage]):
    """Finds the tasks that ever had a job."""

    cursor: str = "0"
