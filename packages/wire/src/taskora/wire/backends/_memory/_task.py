"""All that is stored of one task, and the steps that several transitions share."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

from taskora.wire._backend import Cancellation
from taskora.wire._commands import FINAL_STATES
from taskora.wire._operations import FinalState
from taskora.wire.backends._memory._event_log import EventLog
from taskora.wire.backends._memory._marker import Marker
from taskora.wire.backends._memory._record import Record, Value, number, write
from taskora.wire.backends._memory._sorted_ids import SortedIds
from taskora.wire.backends._memory._subscriber import Subscriber
from taskora.wire.backends._memory._waiting import Sleeper

_PRIORITY_WEIGHT: Final = 1e13
_LOG_LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True)
class StoredLease:
    """The token of a claim, and when it stops to count."""

    token: str
    ends_at_ms: int


class TaskStore:
    """The structures of one task. Not safe for threads by itself: `Store` lets in one operation at a time."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.jobs: dict[str, Record] = {}
        self.logs: dict[str, deque[bytes]] = {}
        self.leases: dict[str, StoredLease] = {}
        self.waiting: OrderedDict[str, None] = OrderedDict()  # the first leaves first
        self.prioritized = SortedIds()
        self.active: dict[str, None] = {}  # the oldest claim is first
        self.delayed = SortedIds()
        self.finished: dict[FinalState, SortedIds] = {state: SortedIds() for state in FINAL_STATES}
        self.stalled: set[str] = set()
        self.events = EventLog(name)
        self.marker = Marker()
        self.subscribers: set[Subscriber] = set()
        self.readers: set[Sleeper] = set()
        self._has_news = False

    def emit(self, now_ms: int, name: str, job_id: str, **fields: Value) -> None:
        """Adds an event to the stream."""
        self.events.append(now_ms, name, job_id, fields)
        self._has_news = True

    def publish_cancellation(self, job_id: str) -> None:
        """Tells those who listen now that somebody wants a job to stop."""
        for subscriber in self.subscribers:
            subscriber.tell(Cancellation(task=self.name, job_id=job_id))

    def push_ready(self, job_id: str, *, order_ms: int) -> None:
        """Puts a job behind the other ready jobs of its priority."""
        priority = number(self.jobs[job_id], "priority")
        if priority > 0:
            self.prioritized.add(job_id, order_ms - priority * _PRIORITY_WEIGHT)
        else:
            self.waiting[job_id] = None

    def pop_prioritized(self) -> str | None:
        """Takes the oldest job of the highest priority."""
        first = self.prioritized.take(1)
        return first[0] if first else None

    def pop_waiting(self) -> str | None:
        """Takes the job without priority that came first."""
        return self.waiting.popitem(last=False)[0] if self.waiting else None

    def has_ready(self) -> bool:
        """Whether a job can be claimed."""
        return bool(self.waiting) or len(self.prioritized) > 0

    def oldest_of_lowest_priority(self) -> str | None:
        """The prioritized job that is likely to have waited longest."""
        last = self.prioritized.last()
        if last is None:
            return None
        priority = number(self.jobs[last[1]], "priority")
        oldest = self.prioritized.first_from(-priority * _PRIORITY_WEIGHT)
        return oldest and oldest[1]

    def finish(self, job_id: str, state: FinalState, now_ms: int, **fields: Value) -> None:
        """Ends a job."""
        write(self.jobs[job_id], state=state, finishedOn=now_ms, **fields)
        self.finished[state].add(job_id, now_ms)

    def holds_lease(self, job_id: str, token: str, now_ms: int) -> bool:
        """Whether `token` still fences the job."""
        lease = self.leases.get(job_id)
        return lease is not None and lease.token == token and now_ms < lease.ends_at_ms

    def is_leased(self, job_id: str, now_ms: int) -> bool:
        """Whether anybody has the right to run the job."""
        lease = self.leases.get(job_id)
        return lease is not None and now_ms < lease.ends_at_ms

    def add_log(self, job_id: str, entry: bytes) -> None:
        """Appends to the log of a job, and drops the oldest entries of a long one."""
        self.logs.setdefault(job_id, deque(maxlen=_LOG_LIMIT)).append(entry)

    def erase(self, job_id: str) -> None:
        """Deletes everything of a job that stands in no structure any more."""
        self.jobs.pop(job_id, None)
        self.leases.pop(job_id, None)
        self.logs.pop(job_id, None)

    def deliver(self) -> None:
        """Wakes those whom the operation that is now complete concerns."""
        self.marker.deliver()
        if self._has_news:
            self._has_news = False
            for reader in self.readers:
                reader.wake()


def is_expired(record: Record, now_ms: int) -> bool:
    """Whether a job did not start in time."""
    deadline_ms = number(record, "expireAt")
    return 0 < deadline_ms <= now_ms
