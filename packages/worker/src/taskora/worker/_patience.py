"""How long a lane without work waits for its wake-up token before it looks by itself."""

import random
from typing import Final

# At random, so that the lanes of a worker, and workers that were started together, do not all look at once.
SHORTEST_MS: Final = 5_000
LONGEST_MS: Final = 15_000
# Who starts a delayed job is whoever has the token. The others look when it must have been started.
AFTER_DUE_MS: Final = 2_000


def patience_ms(now_ms: int, due_ms: int | None) -> int:
    """Milliseconds from `now_ms` on; `due_ms` is when the earliest delayed job that the lane knows of is due.

    A token is lost only with a program that dies while it holds one. What is lost with it is found by this look.
    """
    patience = random.randint(SHORTEST_MS, LONGEST_MS)
    return patience if due_ms is None else min(patience, max(0, due_ms - now_ms) + AFTER_DUE_MS)
