"""When the jobs of a task started, as far as a rate limit asks."""

from typing import Final

from taskora.contracts.records import field, record
from taskora.wire.backends._memory._sorted_ids import SortedIds

_SLACK: Final = 64


@record(frozen=False, kw_only=False)
class _Starts:
    ids: SortedIds = field(default_factory=SortedIds)
    ends_at_ms: int = 0


class StartLog:
    """Starts by what is counted apart; what nobody will ask for any more is dropped."""

    __slots__ = ("_by_key", "_kept")

    def __init__(self) -> None:
        self._by_key: dict[str, _Starts] = {}
        self._kept = 0

    def of(self, key: str, now_ms: int) -> SortedIds:
        """The starts counted under a key, by instant."""
        self._drop_ended(now_ms)
        starts = self._by_key.get(key)
        if starts is None or starts.ends_at_ms <= now_ms:
            starts = self._by_key[key] = _Starts()
        return starts.ids

    def keep(self, key: str, ends_at_ms: int) -> None:
        """Says until when the starts of a key are asked for."""
        self._by_key[key].ends_at_ms = ends_at_ms

    def _drop_ended(self, now_ms: int) -> None:
        if len(self._by_key) > 2 * self._kept + _SLACK:
            self._by_key = {key: starts for key, starts in self._by_key.items() if starts.ends_at_ms > now_ms}
            self._kept = len(self._by_key)
