"""How many jobs a lane asks for in one round trip."""

from typing import Final

LARGEST_CLAIM: Final = 500
# What the payloads of a reply come to, as far as those of earlier ones tell: a server builds a reply in memory, and all
# who share the connection wait until it is read.
MOST_BYTES: Final = 8 * 1_048_576
# From how many on a lane claims in two parts: one runs while the other is fetched.
_MANY_SLOTS: Final = 16
# Payloads are expected to be no smaller than this part of what they were last.
_SHRINK: Final = 4


class ClaimSizes:
    """Sizes for one lane: of many slots no more than half at once, and no more bytes than a reply should have.

    Attributes:
        parts: In how many parts the slots are filled, and so how many round trips may be under way.
        part: How many slots that is.
        worthwhile: How many outcomes, and free slots, make it worth to have a second one.
        most: How many jobs to ask for at once.
    """

    def __init__(self, concurrency: int) -> None:
        self.parts: Final = 2 if concurrency >= _MANY_SLOTS else 1
        self.part: Final = min(concurrency // self.parts, LARGEST_CLAIM)
        self.worthwhile: Final = max(1, self.part * 3 // 4)
        self.most = self.part
        self._bytes_each = 0.0

    def note(self, claims: int, size: int) -> None:
        """Learns from claims and the bytes of their payloads. Growth counts at once; it takes a while to forget it."""
        self._bytes_each = max(size / claims, self._bytes_each / _SHRINK)
        fitting = int(MOST_BYTES // self._bytes_each) if self._bytes_each else self.part
        self.most = max(1, min(self.part, fitting))
