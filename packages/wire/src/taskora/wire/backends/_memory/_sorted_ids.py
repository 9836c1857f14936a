"""Job ids in the order of a number, as Redis keeps them in a sorted set."""

import heapq
import math
from collections.abc import Iterator
from typing import Final, TypeAlias

Entry: TypeAlias = tuple[float, str]

_SLACK: Final = 64


class SortedIds:
    """Ids by score; equal scores are ordered by id.

    A heap whose outdated entries are skipped when they surface, so that adding, removing and taking the first one cost
    O(log n). Pages sort what they need, since only inspection asks for them.
    """

    __slots__ = ("_heap", "_scores")

    def __init__(self) -> None:
        self._scores: dict[str, float] = {}
        self._heap: list[Entry] = []

    def __len__(self) -> int:
        return len(self._scores)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._scores

    def __iter__(self) -> Iterator[str]:
        """First to last."""
        return (job_id for _, job_id in sorted(self._entries()))

    def add(self, job_id: str, score: float) -> None:
        """Adds an id, or moves it."""
        self._scores[job_id] = score
        heapq.heappush(self._heap, (score, job_id))

    def discard(self, job_id: str) -> bool:
        """Removes an id; false when it is not there."""
        if self._scores.pop(job_id, None) is None:
            return False
        if len(self._heap) > 2 * len(self._scores) + _SLACK:
            self._heap = list(self._entries())
            heapq.heapify(self._heap)
        return True

    def score(self, job_id: str) -> float | None:
        """The number of an id, or None."""
        return self._scores.get(job_id)

    def first(self) -> Entry | None:
        """The lowest entry."""
        heap = self._heap
        while heap and self._scores.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def last(self) -> Entry | None:
        """The highest entry."""
        return max(self._entries(), default=None)

    def first_from(self, score: float) -> Entry | None:
        """The lowest entry that has at least `score`."""
        return min((entry for entry in self._entries() if entry[0] >= score), default=None)

    def take(self, limit: int, *, up_to: float = math.inf) -> list[str]:
        """Removes the lowest `limit` ids whose score is at most `up_to`."""
        taken: list[str] = []
        while len(taken) < limit:
            entry = self.first()
            if entry is None or entry[0] > up_to:
                break
            del self._scores[entry[1]]
            taken.append(entry[1])
        return taken

    def count(self, *, up_to: float) -> int:
        """How many have at most a score."""
        return sum(score <= up_to for score in self._scores.values())

    def page(self, offset: int, limit: int) -> list[str]:
        """Ids from the lowest on."""
        return [job_id for _, job_id in heapq.nsmallest(offset + limit, self._entries())[offset:]]

    def page_from_last(self, offset: int, limit: int) -> list[str]:
        """Ids from the highest down."""
        return [job_id for _, job_id in heapq.nlargest(offset + limit, self._entries())[offset:]]

    def _entries(self) -> Iterator[Entry]:
        return ((score, job_id) for job_id, score in self._scores.items())
