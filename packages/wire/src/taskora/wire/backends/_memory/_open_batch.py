"""Items that gather until they run as one job."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class OpenBatch:
    """Items, oldest first, and when the first and the last of them came."""

    first_ms: int
    last_ms: int = 0
    items: list[bytes] = field(default_factory=list[bytes])
