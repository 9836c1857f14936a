"""Where jobs stand that are ready but may not start: apart, so that they cost the others nothing."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Final

from taskora.wire.backends._memory._sorted_ids import SortedIds


class ParkedJobs:
    """The jobs that wait for a slot of one concurrency key: by priority, then as they came."""

    __slots__ = ("_plain", "_prioritized")

    def __init__(self) -> None:
        self._prioritized = SortedIds()
        self._plain: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._prioritized) + len(self._plain)

    def __iter__(self) -> Iterator[str]:
        yield from self._prioritized
        yield from self._plain

    def first(self) -> str | None:
        """The job that leaves next."""
        entry = self._prioritized.first()
        return entry[1] if entry else next(iter(self._plain), None)

    def add_prioritized(self, job_id: str, score: float) -> None:
        """Adds a job with a priority."""
        self._prioritized.add(job_id, score)

    def add(self, job_id: str, *, in_front: bool) -> None:
        """Adds a job without a priority, behind or before the others."""
        self._plain[job_id] = None
        if in_front:
            self._plain.move_to_end(job_id, last=False)

    def discard(self, job_id: str) -> bool:
        """Removes a job; false when it is not there."""
        return self._prioritized.discard(job_id) or self._plain.pop(job_id, self) is None


class Parking:
    """All parked jobs of a task, and what decides when they may go.

    Attributes:
        held: How many slots of a concurrency key are taken.
        freed: Jobs that may compete again, first first; they leave before the waiting ones.
        keys: The concurrency keys that jobs are parked for, by when they were last looked at.
        newer: Those of the delayed jobs whose payload was too new, by its version.
    """

    def __init__(self) -> None:
        self.held: Final[dict[str, int]] = {}
        self.freed: Final[deque[str]] = deque()
        self.keys: Final = SortedIds()
        self.newer: Final = SortedIds()
        self._parked: Final[dict[str, ParkedJobs]] = {}

    def __bool__(self) -> bool:
        return bool(self.freed) or len(self.keys) > 0 or len(self.newer) > 0

    def __len__(self) -> int:
        return sum(map(len, self._parked.values()))

    def __iter__(self) -> Iterator[str]:
        """Every parked job, key by key."""
        return (job_id for key in self.keys for job_id in self.jobs_of(key))

    def jobs_of(self, key: str) -> ParkedJobs:
        """The jobs parked for a key, for reading."""
        return self._parked.get(key) or ParkedJobs()

    def place_for(self, key: str, now_ms: int) -> ParkedJobs:
        """Where to park a job of a key."""
        if key not in self.keys:
            self.keys.add(key, now_ms)
        return self._parked.setdefault(key, ParkedJobs())

    def unpark(self, job_id: str, key: str) -> bool:
        """Takes a job out of its parking place; false when it does not stand there."""
        parked = self._parked.get(key)
        if parked is None or not parked.discard(job_id):
            return False
        if not parked:
            del self._parked[key]
            self.keys.discard(key)
        return True

    def pop_freed(self, count: int) -> list[str]:
        """Takes the first freed jobs."""
        return [self.freed.popleft() for _ in range(min(count, len(self.freed)))]

    def discard_freed(self, job_id: str) -> bool:
        """Takes one freed job out; false when it is not there."""
        if job_id not in self.freed:
            return False
        self.freed.remove(job_id)
        return True
