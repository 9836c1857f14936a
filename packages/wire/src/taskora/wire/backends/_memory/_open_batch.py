"""Items that gather until they run as one job."""

from taskora.contracts.records import field, record


@record(frozen=False, kw_only=False)
class OpenBatch:
    """Items, oldest first, and when the first and the last of them came."""

    first_ms: int
    last_ms: int = 0
    items: list[bytes] = field(default_factory=list[bytes])
