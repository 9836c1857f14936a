"""Operations of schedulers and of those who manage schedules. Each touches one key, or the keys of one task."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, Literal, TypeAlias

from taskora.contracts.records import record
from taskora.wire._operation import Operation

Expected: TypeAlias = int | Literal["none", "any"]
"""When a schedule is thought to be due: an instant, `"none"` for never, `"any"` for whatever."""

MOST_DUE: Final = 100


@record
class Lead(Operation[bool]):
    """Becomes or stays the scheduler that leads; false when another one does."""

    token: str
    ttl_ms: int


@record
class StepDown(Operation[bool]):
    """Stops to lead; false when the caller did not."""

    token: str


@record
class ClaimedDue:
    """What was claimed, with when each was due; `next_ms` is when something is due next. Epoch milliseconds."""

    now_ms: int
    next_ms: int | None
    due: Mapping[str, int]


@record
class ClaimDue(Operation[ClaimedDue]):
    """Claims schedules that are due: each is due again when the claim ends, also if its reply is lost."""

    lease_ms: int
    limit: int = MOST_DUE


@record
class SetDue(Operation[bool]):
    """Says when a schedule is due, None for never; false when it is not due when it was expected to be."""

    name: str
    expected: Expected
    due_ms: int | None


@record
class WriteSchedule(Operation[bool]):
    """Replaces the record of a schedule, None for none; false when it is not the one that was expected."""

    name: str
    expected: bytes | None
    record: bytes | None


@record
class ReadSchedules(Operation[Mapping[str, bytes]]):
    """The records of the schedules of some names, as far as they exist."""

    names: Sequence[str]


@record
class SchedulePage:
    """Some records by name, and where to go on; `cursor` "0" ends the scan. A name may come twice."""

    cursor: str
    records: Mapping[str, bytes]


@record
class ScanSchedules(Operation[SchedulePage]):
    """The records of all schedules, about `limit` at a time."""

    cursor: str = "0"
    limit: int = 500


@record
class DueTimes:
    """When schedules are due; those that never are have no entry. Epoch milliseconds.

    Attributes:
        now_ms: What time it is.
        earliest_ms: When the first of all schedules is due; None when none is.
        due: When those are due that were asked for.
    """

    now_ms: int
    earliest_ms: int | None
    due: Mapping[str, int]


@record
class ReadDue(Operation[DueTimes]):
    """When some schedules are due, and the first of all."""

    names: Sequence[str] = ()


@record
class Occurrence:
    """One run of a schedule to dispatch. `job_id` names the run; `data` is its encoded payload."""

    job_id: str
    data: bytes
    delay_ms: int = 0
    ttl_ms: int = 0


class Dispatched(Enum):
    """What became of the runs of a schedule. Negative values are those of `lua/dispatch_occurrences.lua`."""

    DONE = 0
    CLAIM_OVER = -1
    UNDER_WAY = -2


@record
class DispatchOccurrences(Operation[Dispatched]):
    """Dispatches those of the runs that never were; nothing after `claimed_until_ms`, or for a withdrawn claim.

    Without `overlap` nothing either while the run that was dispatched last, or `last_job_id`, has not ended.
    """

    task: str
    schedule: str
    version: int
    max_attempts: int
    claimed_until_ms: int
    overlap: bool
    last_job_id: str
    jobs: Sequence[Occurrence]


@record
class WithdrawClaim(Operation[bool]):
    """Refuses what the holder of a claim has not dispatched yet; false when the claim is over.

    Attributes:
        task: The task that the schedule runs.
        schedule: Its name.
        claimed_until_ms: The end of the claim, which names it.
    """

    task: str
    schedule: str
    claimed_until_ms: int
