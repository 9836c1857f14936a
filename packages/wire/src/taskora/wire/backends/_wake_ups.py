"""Waiting for the wake-up tokens of many tasks without a connection for each."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

from taskora.contracts import BackendError
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends import _requests
from taskora.wire.backends._async_connections import finish
from taskora.wire.backends._requests import Request
from taskora.wire.backends._transport import Ask, Commands, Connections, Lend

# So many waits have connections of their own. They are the cheapest way to wait: nobody has to be asked to let go.
OWN_CONNECTIONS: Final = 8
# One command blocks no longer, however long the wait: so soon a dead connection is noticed, and for so long may a
# server give tokens to a program that is gone.
LONGEST_BLOCK_MS: Final = 5_000
_UNBLOCK_PAUSE: Final = 0.001
_FAILURES: Final = (*_requests.FAILURES, BackendError)


class WakeUps:
    """Takes tokens. The first waits have a connection each; all others share one for all their keys, if one is lent."""

    def __init__(self, connections: Connections, commands: Commands, lend: Lend | None) -> None:
        self._connections = connections
        self._shared = _SharedWait(commands, lend)
        self._own = 0

    def wait(self, marker_key: str, timeout_ms: float) -> Coroutine[Any, Any, float | None]:
        """The score of a token that was taken, or None. May return early without one."""
        if self._own >= OWN_CONNECTIONS and self._shared.is_possible:
            return self._shared.wait(marker_key, timeout_ms / 1000)
        return self._wait_alone(marker_key, timeout_ms)

    async def _wait_alone(self, marker_key: str, timeout_ms: float) -> float | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_ms / 1000
        self._own += 1
        try:
            while True:
                request = _requests.marker_request((marker_key,), min(timeout_ms, LONGEST_BLOCK_MS))
                token = await self._connections.blocking_request(request)
                if token is not None:
                    return float(token[2])
                timeout_ms = (until - loop.time()) * 1000
                if timeout_ms <= 0:
                    return None
        finally:
            self._own -= 1

    async def close(self) -> None:
        """Ends what runs in the background; the connections are still there for the tokens."""
        await self._shared.close()


class _SharedWait:
    """One blocking command over the keys of all who wait.

    Whoever comes while it blocks, and whose key is not among its keys, has it let go, so that the next one has that
    key too. A key stays among them when its waiter leaves; a token that is taken for nobody is put back at once.
    """

    def __init__(self, commands: Commands, lend: Lend | None) -> None:
        self.is_possible = lend is not None
        self._lend = lend
        self._commands = commands
        self._waiting: dict[str, deque[asyncio.Future[float | None]]] = {}
        self._until = 0.0
        self._blocked_on: frozenset[str] = frozenset()
        self._was_freed = False
        self._client_id = 0
        self._listener: asyncio.Task[None] | None = None
        self._freer: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()

    async def wait(self, marker_key: str, seconds: float) -> float | None:
        """Takes a token of `marker_key`; None when the time is over."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[float | None] = loop.create_future()
        self._waiting.setdefault(marker_key, deque()).append(future)
        self._until = max(self._until, loop.time() + seconds)
        timer = loop.call_later(seconds, _resolve, future, None)
        self._attend()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self._put_back(marker_key, future.result())
            raise
        finally:
            timer.cancel()
            self._leave(marker_key, future)

    def _leave(self, marker_key: str, future: asyncio.Future[float | None]) -> None:
        queue = self._waiting.get(marker_key)
        if queue is not None and future in queue:
            queue.remove(future)
            if not queue:
                del self._waiting[marker_key]

    def _attend(self) -> None:
        """Sees to it that somebody listens, and to all keys."""
        loop = asyncio.get_running_loop()
        if self._listener is None:
            self._listener = loop.create_task(self._listen())
        elif self._freer is None and self._misses_a_key():
            self._freer = loop.create_task(self._free())

    def _misses_a_key(self) -> bool:
        return bool(self._blocked_on) and not self._was_freed and not self._waiting.keys() <= self._blocked_on

    async def _listen(self) -> None:
        assert self._lend is not None
        try:
            async with self._lend() as ask:
                self._client_id = await ask(Request(("CLIENT", "ID")))
                while self._waiting:
                    await self._take_one(ask)
        except redis_errors.NoPermissionError:
            self._give_up_sharing()
        except _FAILURES as error:
            self._end_all(error)
        finally:
            self._blocked_on = frozenset()
            self._listener = None
        if self._waiting:  # somebody came while the connection was given back
            self._attend()

    async def _take_one(self, ask: Ask) -> None:
        keys = tuple(self._waiting)
        left_ms = (self._until - asyncio.get_running_loop().time()) * 1000
        self._blocked_on, self._was_freed = frozenset(keys), False
        token = await ask(_requests.marker_request(keys, min(left_ms, LONGEST_BLOCK_MS)))
        self._blocked_on = frozenset()
        if token is not None:
            self._hand_over(token[0].decode(), float(token[2]))
            await asyncio.sleep(0)  # let those that leave do so before the next command names their keys

    def _hand_over(self, marker_key: str, score: float) -> None:
        for future in self._waiting.get(marker_key, ()):
            if not future.done():
                future.set_result(score)
                return
        self._put_back(marker_key, score)

    def _put_back(self, marker_key: str, score: float | None) -> None:
        if score is not None:
            self._run(self._give(_requests.put_back_request(marker_key, score)))

    async def _give(self, request: Request) -> None:
        try:
            await self._commands.request(request)
        except _FAILURES:
            return  # workers look again after a while without a token

    async def _free(self) -> None:
        """Makes the blocked command return; it may not have arrived at the server yet."""
        try:
            while self._misses_a_key():
                blocked_on = self._blocked_on
                freed = await self._commands.request(Request(("CLIENT", "UNBLOCK", self._client_id)))
                if freed and self._blocked_on is blocked_on:  # or else the next command is under way by now
                    self._was_freed = True
                await asyncio.sleep(_UNBLOCK_PAUSE)
        except redis_errors.NoPermissionError:
            self._give_up_sharing()
        except _FAILURES:
            return  # who waits in vain looks again when its time is over
        finally:
            self._freer = None

    def _give_up_sharing(self) -> None:
        self.is_possible = False
        for queue in self._waiting.values():
            for future in queue:
                _resolve(future, None)

    def _end_all(self, error: Exception) -> None:
        for queue in self._waiting.values():
            for future in queue:
                if not future.done():
                    future.set_exception(_requests.translate(error))
        self._waiting.clear()

    def _run(self, chore: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def close(self) -> None:
        """Ends what runs in the background."""
        tasks = [task for task in (self._listener, self._freer) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await finish(self._chores)
        self._end_all(_requests.closed())


def _resolve(future: asyncio.Future[float | None], score: float | None) -> None:
    if not future.done():
        future.set_result(score)
