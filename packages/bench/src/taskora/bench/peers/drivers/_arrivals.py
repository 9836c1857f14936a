"""Jobs whose handler has begun."""

import asyncio
import threading
import time
from typing import Final


class Arrivals:
    """Counts from any thread, and tells a coroutine when a number is reached."""

    def __init__(self) -> None:
        self.count = 0
        self.latest = 0.0
        self._awaited: int | None = None
        self._reached: asyncio.Future[None] | None = None
        self._lock = threading.Lock()

    def arrive(self) -> None:
        """Called in the first line of a handler."""
        with self._lock:
            self.latest = time.perf_counter()
            self.count += 1
            if self.count == self._awaited and self._reached is not None:
                self._reached.get_loop().call_soon_threadsafe(_resolve, self._reached)

    async def reach(self, count: int, seconds: float) -> bool:
        """Waits until so many have arrived; false when that took too long."""
        with self._lock:
            if self.count >= count:
                return True
            self._awaited = count
            self._reached = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._reached, seconds)
        except TimeoutError:
            return False
        return True


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


# One for the process: some libraries import their handlers by name.
ARRIVALS: Final = Arrivals()
