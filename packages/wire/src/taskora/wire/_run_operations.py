"""Operations of workers: claiming, settling, renewing, reporting, recovering."""

from collections.abc import Sequence
from enum import Enum, StrEnum
from typing import Literal, Self, TypeAlias

from taskora.contracts.records import field, record, replace
from taskora.wire._job import StepLink
from taskora.wire._operation import Operation

OnExpire: TypeAlias = Literal["fail", "discard"]


class OutcomeKind(StrEnum):
    """How an attempt ended. The values are the words of `lua/exchange.lua`.

    `RELEASED` and `DECLINED` give the job back without spending the attempt. Of a declined one no handler has started:
    its time to live goes on, and it returns to where it was claimed from: of several, the one that was claimed last has
    to be declined first.
    """

    COMPLETED = "completed"
    RETRYING = "retrying"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RELEASED = "released"
    DECLINED = "declined"


@record(guarded=False)
class Outcome:
    """The end of one attempt. `payload` is the encoded result, or the error text; `plain` is that of the claim."""

    kind: OutcomeKind
    job_id: str
    token: str
    payload: bytes = b""
    delay_ms: int = 0
    plain: bool = False


class Settlement(Enum):
    """What became of an outcome. The values are those of `lua/exchange.lua`."""

    LOST = 0
    SETTLED = 1
    CANCEL_REQUESTED = 2
    REPEATED = 3


@record(guarded=False)
class Claim:
    """The right to run one attempt of a job, as long as its lease is renewed. `link` is None outside of workflows.

    `plain` is a hint of the storage, for the outcome: the job asks for nothing beyond its payload, and this is its
    first attempt. Whoever settles it has less to read. False is always right.

    `has_stalled` says that the job has lost a worker before, and may be what it died of.
    """

    job_id: str
    token: str
    data: bytes
    version: int
    attempt: int
    timestamp_ms: int
    link: StepLink | None = None
    plain: bool = field(default=False, compare=False)
    has_stalled: bool = False


@record(guarded=False)
class Exchanged:
    """Reply of `Exchange`. Times are those of the storage's clock."""

    now_ms: int
    due_ms: int | None
    settlements: tuple[Settlement, ...]
    claims: tuple[Claim, ...]


@record
class Pace:
    """How fast a task may start jobs: at most `max` within `window_ms` (0 for no limit), or one at a time."""

    singleton: bool = False
    max: int = 0
    window_ms: int = 0
    key: str = ""


NO_PACE = Pace()


NEWEST = 2**31 - 1


@record(guarded=False)
class Exchange(Operation[Exchanged]):
    """Settles attempts that ended and claims up to `slots` ready jobs, in one step.

    `token` fences the jobs claimed by this call and must be fresh for every call. Claiming also promotes due jobs,
    and expires those that did not start in time as `on_expire` says. Jobs whose payload is newer than `max_version`
    are left for a newer worker; `pace` says how fast jobs may start. Where their dispatch did not say, `key_limit` is
    how many jobs of a concurrency key run at once, and `ttl_ms` how long after their dispatch they may start.
    """

    task: str
    token: str
    lease_ms: int
    slots: int
    outcomes: Sequence[Outcome] = ()
    on_expire: OnExpire = "fail"
    max_version: int = NEWEST
    pace: Pace = NO_PACE
    key_limit: int = 0
    ttl_ms: int = 0
    resend: bool = False

    def again(self) -> Self:
        return replace(self, resend=True)


@record(guarded=False)
class Lease:
    """Names one claim: the job, and the token that fences it."""

    job_id: str
    token: str


class LeaseState(Enum):
    """What became of a lease that was renewed. The values are those of `lua/extend_leases.lua`."""

    CANCEL_REQUESTED = -1
    LOST = 0
    HELD = 1


@record(guarded=False)
class ExtendLeases(Operation[tuple[LeaseState, ...]]):
    """Renews leases from now; the reply has one state per lease, in order."""

    comes_again = True
    task: str
    lease_ms: int
    leases: Sequence[Lease]


@record(guarded=False)
class ReserveStart(Operation[int]):
    """Gives an attempt its place in the rate limit of a key; the reply is how many milliseconds it has to wait.

    Asking again for the same `start_id` gives the same instant.
    """

    task: str
    key: str
    start_id: str
    max: int
    window_ms: int


@record(guarded=False)
class ReportEntry:
    """Progress or one log entry (JSON text) of an active job."""

    kind: Literal["progress", "log"]
    job_id: str
    token: str
    payload: bytes


@record(guarded=False)
class Report(Operation[tuple[bool, ...]]):
    """Writes progress and logs in order; the reply says per entry whether its lease still held."""

    task: str
    entries: Sequence[ReportEntry]


@record
class Recovered:
    """Ids that a stall sweep gave back, failed for good, or finished cancelling.

    `cursor` says where the sweep goes on; None when it is done.
    """

    recovered: tuple[str, ...]
    failed: tuple[str, ...]
    cancelled: tuple[str, ...]
    cursor: int | None = None


@record
class RecoverStalled(Operation[Recovered]):
    """Gives back the active jobs whose worker is gone; one that stalled more than `max_count` times fails.

    Who holds the slots of concurrency keys is counted, too, unless somebody did so within `count_every_ms`; 0 counts
    always. A sweep of many jobs takes several calls: repeat it with the `cursor` of the reply until that is None.
    """

    task: str
    max_count: int
    cursor: int = 0
    count_every_ms: int = 0
