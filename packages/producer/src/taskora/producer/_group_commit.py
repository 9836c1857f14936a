"""Calls that are made at the same time share round trips."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

Item = TypeVar("Item")
Reply = TypeVar("Reply")
Entry: TypeAlias = "tuple[Item, asyncio.Future[Reply]]"


class GroupCommit(Generic[Item, Reply]):
    """Collects items while a batch is under way, and sends what gathered as the next one.

    A lone caller pays nothing for it: its item leaves at once, and alone. Everything else is sent by a task of its
    own, so that whoever gives up takes nobody along: an item that has left is sent to its end, one that has not is
    left out.

    Args:
        send: Sends a batch, and returns a reply per item.
        cut: How many of the items that wait travel in one batch, at least one.
        spreads: Whether an error of a batch is also that of all who were waiting when it left: what the batch waited
            for in vain, they did too. Each batch after it would wait as long again, and the last of many for minutes.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Reply]]],
        *,
        cut: Callable[[Sequence[Item]], int],
        spreads: Callable[[Exception], bool] = lambda _: False,
    ) -> None:
        self._send = send
        self._cut = cut
        self._spreads = spreads
        self._waiting: list[Entry[Item, Reply]] = []
        self._sender: asyncio.Task[None] | None = None
        self._sending = False

    async def submit(self, item: Item) -> Reply:
        """Sends an item, alone or with others, and returns its reply; an error of the batch is raised to all of it."""
        if self._sending:
            future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            self._waiting.append((item, future))
            return await future
        self._sending = True
        try:
            (reply,) = await self._send((item,))
            return reply
        finally:
            self._sending = bool(self._waiting)
            if self._waiting:
                self._sender = asyncio.get_running_loop().create_task(self._send_batches())

    async def _send_batches(self) -> None:
        try:
            while batch := self._take():
                await self._send_batch(batch)
        finally:
            self._sending = False
            for _, future in self._waiting:  # only if this task is cancelled, as an event loop does when it ends
                future.cancel()
            self._waiting.clear()

    def _take(self) -> list[Entry[Item, Reply]]:
        self._waiting = [entry for entry in self._waiting if not entry[1].done()]
        if not self._waiting:
            return []
        length = max(self._cut([item for item, _ in self._waiting]), 1)
        return self._take_out(length)

    def _take_out(self, length: int) -> list[Entry[Item, Reply]]:
        taken, self._waiting = self._waiting[:length], self._waiting[length:]
        return taken

    async def _send_batch(self, batch: list[Entry[Item, Reply]]) -> None:
        behind = len(self._waiting)
        try:
            replies = await self._send([item for item, _ in batch])
            settled = list(zip(batch, replies, strict=True))
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear of it
            also = self._take_out(behind) if self._spreads(error) else []
            for _, future in (*batch, *also):
                if not future.done():
                    future.set_exception(error)
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        else:
            for (_, future), reply in settled:
                if not future.done():
                    future.set_result(reply)
