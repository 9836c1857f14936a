"""Values that end by themselves, as keys with a lifetime do in Redis."""

import heapq
import math

from taskora.contracts.records import record


@record(kw_only=False)
class _Stored:
    value: str
    ends_at_ms: float


class Lifetimes:
    """Text by name; what has ended is not there any more, and is dropped when something else is stored."""

    __slots__ = ("_ends", "_stored")

    def __init__(self) -> None:
        self._stored: dict[str, _Stored] = {}
        self._ends: list[tuple[float, str]] = []

    def get(self, name: str, now_ms: int) -> str | None:
        """The value, while it lasts."""
        stored = self._stored.get(name)
        return stored.value if stored is not None and now_ms < stored.ends_at_ms else None

    def set(self, name: str, value: str, now_ms: int, *, lasts_ms: float = math.inf) -> None:
        """Stores a value for some time, or for good."""
        self._drop_ended(now_ms)
        self._stored[name] = _Stored(value, now_ms + lasts_ms)
        if lasts_ms < math.inf:
            heapq.heappush(self._ends, (now_ms + lasts_ms, name))

    def replace(self, name: str, value: str) -> None:
        """Changes a value that is there, and leaves its lifetime."""
        self._stored[name] = _Stored(value, self._stored[name].ends_at_ms)

    def drop(self, name: str) -> None:
        """Forgets a value."""
        self._stored.pop(name, None)

    def _drop_ended(self, now_ms: int) -> None:
        while self._ends and self._ends[0][0] <= now_ms:
            _, name = heapq.heappop(self._ends)
            stored = self._stored.get(name)
            if stored is not None and stored.ends_at_ms <= now_ms:
                del self._stored[name]
