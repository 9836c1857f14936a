"""Waiting for work: until a token comes, or the instant that it names."""

import math
import time

from taskora.wire.backends._memory._marker import Seeker
from taskora.wire.backends._memory._session import Session
from taskora.wire.backends._memory._store import Store
from taskora.wire.backends._memory._task import TaskStore
from taskora.wire.backends._memory._waiting import AsyncSleeper


async def wait_for_work(store: Store, session: Session, task_name: str, timeout_ms: int) -> None:
    """Waits for the token of a task; see `Backend.wait_for_work`.

    It also ends after `timeout_ms` of real time, so that a clock that stands still does not hold a worker for ever.
    """
    give_up_at = time.monotonic() + timeout_ms / 1000
    until_ms = store.clock.now_ms() + timeout_ms
    with session.sleeper() as sleeper:
        search = _Search(store, session, store.task(task_name), sleeper, give_up_at)
        look_at_ms = await search.next_token(until_ms)
        if look_at_ms is not None and look_at_ms > store.clock.now_ms():
            await search.next_token(min(until_ms, look_at_ms))


class _Search:
    """One call of `wait_for_work`."""

    __slots__ = ("_give_up_at", "_session", "_sleeper", "_store", "_task")

    def __init__(
        self, store: Store, session: Session, task: TaskStore, sleeper: AsyncSleeper, give_up_at: float
    ) -> None:
        self._store = store
        self._session = session
        self._task = task
        self._sleeper = sleeper
        self._give_up_at = give_up_at

    async def next_token(self, until_ms: int) -> int | None:
        """The token, or None when the clock reached `until_ms` before it came."""
        marker = self._task.marker
        seeker = Seeker(self._sleeper)
        with self._store.lock:
            marker.seek(seeker)
        try:
            await self._sleep(seeker, until_ms)
        except BaseException:
            with self._store.lock:
                unused = marker.leave(seeker)
                if unused is not None:
                    marker.advance(unused)
                    marker.deliver()
            raise
        with self._store.lock:
            return marker.leave(seeker)

    async def _sleep(self, seeker: Seeker, until_ms: int) -> None:
        clock_runs = True
        while seeker.look_at_ms is None:
            now_ms = self._store.clock.now_ms()
            seconds = min((until_ms - now_ms) / 1000 if clock_runs else math.inf, self._give_up_at - time.monotonic())
            if seconds <= 0 or until_ms <= now_ms:
                return
            # A clock that stands still while we sleep is moved by hand: `notify_time` will say when.
            clock_runs = await self._sleeper.sleep(seconds) or self._store.clock.now_ms() != now_ms
            self._session.check_open()
