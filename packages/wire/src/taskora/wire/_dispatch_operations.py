"""Operations of producers: enqueueing, with and without flow control."""

from collections.abc import Sequence
from enum import Enum
from typing import Final, Self, final, overload

from taskora.contracts import JobState
from taskora.contracts.records import record, replace
from taskora.wire._operation import Operation


@record(guarded=False)
class NewJob:
    """A job to enqueue. `data` is the encoded payload; 0 means no delay, no priority, no time to live."""

    job_id: str
    data: bytes
    delay_ms: int = 0
    priority: int = 0
    ttl_ms: int = 0


@final
class AlikeJobs(Sequence[NewJob]):
    """Jobs that differ in their ids and payloads only: these in two columns, and a job for who looks at one.

    To find out whether jobs are alike, compare types: `isinstance` takes its time with a `Sequence`.
    """

    __slots__ = ("job_ids", "payloads", "ttl_ms")

    def __init__(self, job_ids: Sequence[str], payloads: Sequence[bytes], *, ttl_ms: int = 0) -> None:
        self.job_ids: Final = job_ids
        self.payloads: Final = payloads
        self.ttl_ms: Final = ttl_ms

    def __len__(self) -> int:
        return len(self.job_ids)

    @overload
    def __getitem__(self, index: int) -> NewJob: ...
    @overload
    def __getitem__(self, index: slice) -> "AlikeJobs": ...
    def __getitem__(self, index: int | slice) -> "NewJob | AlikeJobs":
        if isinstance(index, slice):
            return AlikeJobs(self.job_ids[index], self.payloads[index], ttl_ms=self.ttl_ms)
        return NewJob(job_id=self.job_ids[index], data=self.payloads[index], ttl_ms=self.ttl_ms)

    def __repr__(self) -> str:
        return f"AlikeJobs({list(self)})"


@record(guarded=False)
class Enqueue(Operation[tuple[bool, ...]]):
    """Creates jobs. The reply says, per job and in order, whether it was created; an id that exists is left alone.

    Many jobs that are alike are given as `AlikeJobs`.
    """

    task: str
    version: int
    max_attempts: int
    jobs: Sequence[NewJob]
    resend: bool = False

    def again(self) -> Self:
        return replace(self, resend=True)


class Control(Enum):
    """What may decide about a dispatch. The values are the words of `lua/enqueue_controlled.lua`."""

    NONE = ""
    DEBOUNCE = "debounce"
    THROTTLE = "throttle"
    DEDUPLICATE = "deduplicate"
    DEDUPLICATE_FOR = "deduplicate_for"
    KEEP_LATEST = "keep_latest"


@record(guarded=False)
class ControlledJob:
    """A job that asks for flow control; the fields that its control does not need stay empty."""

    job: NewJob
    lifo: bool = False
    concurrency_key: str = ""
    concurrency_limit: int = 0
    control: Control = Control.NONE
    key: str = ""
    amount: int = 0
    period_ms: int = 0
    states: tuple[JobState, ...] = ()


class Verdict(Enum):
    """What became of a controlled dispatch. The values are those of `lua/enqueue_controlled.lua`."""

    TAKEN = 0
    CREATED = 1
    THROTTLED = 2
    DUPLICATE = 3
    UPDATED = 4


@record(guarded=False)
class Admission:
    """The verdict on one dispatch, and the job that its caller should follow."""

    verdict: Verdict
    job_id: str


@record(guarded=False)
class EnqueueControlled(Operation[tuple[Admission, ...]]):
    """Creates jobs as far as their flow control admits them; decides in order, so that those of a batch see each other.

    Debounce (`period_ms`) replaces the pending job of its key. Throttle accepts `amount` in `period_ms`, counted from
    the first. Deduplicate rejects while the job of its key is in one of `states`; the other form rejects for
    `period_ms`. Keep-latest gives its payload to the job of its key that waits.
    """

    task: str
    version: int
    max_attempts: int
    jobs: Sequence[ControlledJob]
    resend: bool = False

    def again(self) -> Self:
        return replace(self, resend=True)


class Collecting(Enum):
    """What became of a pushed item. The values are those of `lua/push_collect.lua`."""

    WAITING = 0
    FLUSHED = 1
    FULL = 2
    REPEATED = 3


@record(guarded=False)
class Collected:
    """Reply of `PushCollect`; `count` is how many items the batch holds."""

    collecting: Collecting
    count: int


@record(guarded=False)
class PushCollect(Operation[Collected]):
    """Adds an item to the batch of a key. `job_id` becomes the batch's job if this push is its last; 0 is no limit."""

    task: str
    version: int
    max_attempts: int
    job_id: str
    key: str
    item: bytes
    delay_ms: int
    max_size: int = 0
    max_wait_ms: int = 0
    max_items: int = 10_000
    resend: bool = False

    def again(self) -> Self:
        return replace(self, resend=True)


@record
class Batch:
    """What has gathered under a key; times are epoch milliseconds, None when there is nothing."""

    items: tuple[bytes, ...]
    count: int
    first_ms: int | None
    last_ms: int | None


@record
class ReadCollect(Operation[Batch]):
    """The batch of a key, as it is now."""

    task: str
    key: str
