"""All that is stored of one task, and the steps that several transitions share."""

from collections import OrderedDict, deque
from typing import Final

from taskora.contracts.records import record
from taskora.wire._backend import Cancellation
from taskora.wire._commands import FINAL_STATES
from taskora.wire._keys import Keyspace
from taskora.wire._operations import WORKER_LIFETIME_MS, FinalState, WorkerRecord
from taskora.wire.backends._memory._event_log import EventLog
from taskora.wire.backends._memory._lifetimes import Lifetimes
from taskora.wire.backends._memory._marker import Marker
from taskora.wire.backends._memory._open_batch import OpenBatch
from taskora.wire.backends._memory._parking import Parking
from taskora.wire.backends._memory._record import Record, Value, number, text, write
from taskora.wire.backends._memory._remembered_runs import RememberedRuns
from taskora.wire.backends._memory._sorted_ids import SortedIds
from taskora.wire.backends._memory._start_log import StartLog
from taskora.wire.backends._memory._subscriber import Subscriber
from taskora.wire.backends._memory._waiting import Sleeper

PRIORITY_WEIGHT: Final = 1e13
_LOG_LIMIT: Final = 10_000


@record(kw_only=False)
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
        self.untold = SortedIds()  # steps of workflows that have ended, and whose workflow may not know
        self.prefix: Final = Keyspace().task(name).prefix
        self.values = Lifetimes()
        self.parking = Parking()
        self.starts = StartLog()
        self.workers: dict[str, WorkerRecord] = {}
        self.runs = RememberedRuns()
        self.batches: dict[str, OpenBatch] = {}
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
        priority = number(self.jobs.get(job_id, {}), "priority")
        if priority > 0:
            self.prioritized.add(job_id, order_ms - priority * PRIORITY_WEIGHT)
        else:
            self.waiting[job_id] = None

    def push_new(self, job_id: str, *, order_ms: int, lifo: bool) -> None:
        """Puts a new job behind the others of its priority, or in front of them."""
        self.push_ready(job_id, order_ms=-order_ms if lifo else order_ms)
        if lifo and job_id in self.waiting:
            self.waiting.move_to_end(job_id, last=False)

    def pop_prioritized(self, count: int) -> list[str]:
        """Takes the oldest jobs of the highest priorities."""
        return self.prioritized.take(count)

    def pop_waiting(self, count: int) -> list[str]:
        """Takes the jobs without priority that came first."""
        return [self.waiting.popitem(last=False)[0] for _ in range(min(count, len(self.waiting)))]

    def has_ready(self) -> bool:
        """Whether a job can be claimed."""
        return bool(self.waiting or self.parking.freed) or len(self.prioritized) > 0

    def oldest_of_lowest_priority(self) -> str | None:
        """The prioritized job that is likely to have waited longest."""
        last = self.prioritized.last()
        if last is None:
            return None
        priority = number(self.jobs.get(last[1], {}), "priority")
        return (self.prioritized.first_from(-priority * PRIORITY_WEIGHT) or last)[1]

    def finish(self, job_id: str, state: FinalState, now_ms: int, *, is_noted: bool = True, **fields: Value) -> None:
        """Ends a job, and notes it if its workflow has to learn of that."""
        write(self.jobs[job_id], state=state, finishedOn=now_ms, **fields)
        self.finished[state].add(job_id, now_ms)
        self.release_dedup(job_id, now_ms)
        if is_noted:
            self.note_end(job_id, now_ms)

    def note_end(self, job_id: str, now_ms: int) -> None:
        """Notes that the workflow of an ended job, if it has one, has to learn of its end."""
        if "_wf" in self.jobs[job_id]:
            self.untold.add(job_id, now_ms)

    def release_dedup(self, job_id: str, now_ms: int) -> None:
        """Frees the deduplication key of a job, unless it has passed to another one."""
        name = text(self.jobs[job_id], "dedupKey").removeprefix(self.prefix)
        if name and self.values.get(name, now_ms) == job_id:
            self.values.drop(name)

    def holds_lease(self, job_id: str, token: str, now_ms: int) -> bool:
        """Whether `token` still fences the job."""
        lease = self.leases.get(job_id)
        return lease is not None and lease.token == token and now_ms < lease.ends_at_ms

    def is_leased(self, job_id: str, now_ms: int) -> bool:
        """Whether anybody has the right to run the job."""
        lease = self.leases.get(job_id)
        return lease is not None and now_ms < lease.ends_at_ms

    def anything_runs(self, now_ms: int) -> bool:
        """Whether any job runs: an entry without a lease lost its worker."""
        return any(self.is_leased(job_id, now_ms) for job_id in self.active)

    def live_workers(self, now_ms: int) -> list[WorkerRecord]:
        """Who said lately that it works on the task."""
        return [worker for worker in self.workers.values() if worker.beat_ms >= now_ms - WORKER_LIFETIME_MS]

    def add_log(self, job_id: str, entry: bytes) -> None:
        """Appends to the log of a job, and drops the oldest entries of a long one."""
        self.logs.setdefault(job_id, deque(maxlen=_LOG_LIMIT)).append(entry)

    def erase(self, job_id: str) -> None:
        """Deletes everything of a job that stands in no structure any more."""
        self.jobs.pop(job_id, None)
        self.leases.pop(job_id, None)
        self.logs.pop(job_id, None)

    def emptied(self) -> "TaskStore":
        """The same task without anything stored; those who wait for something wait on."""
        new = TaskStore(self.name)
        new.events, new.marker, new.subscribers, new.readers = self.events, self.marker, self.subscribers, self.readers
        new.events.clear()
        new.marker.clear()
        return new

    def deliver(self) -> None:
        """Wakes those whom the operation that is now complete concerns."""
        self.marker.deliver()
        if self._has_news:
            self._has_news = False
            for reader in self.readers:
                reader.wake()


def is_expired(record: Record, now_ms: int, *, default_ttl_ms: int) -> bool:
    """Whether a job did not start in time: that of its dispatch, or else, if it never started, the worker's."""
    deadline_ms = number(record, "expireAt")
    if deadline_ms > 0:
        return deadline_ms <= now_ms
    exempt = "processedOn" in record or "collectKey" in record  # a batch that ended so would leave its items behind
    return default_ttl_ms > 0 and "ts" in record and not exempt and number(record, "ts") + default_ttl_ms <= now_ms
