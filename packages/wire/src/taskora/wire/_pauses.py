"""How long to wait before another try."""

import random
from typing import Final

_MOST_DOUBLINGS: Final = 16


def pause_after(failures: int, *, first: float, longest: float) -> float:
    """Seconds to pause after so many failures in a row: at most `first`, then twice as long each time.

    At random between half of that and all of it, so that programs that lost the same server do not return together.
    """
    return min(longest, first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)) * random.uniform(0.5, 1.0)
