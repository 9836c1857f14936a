"""Calls that are made at the same time share round trips."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Reply = TypeVar("Reply")


class GroupCommit(Generic[Item, Reply]):
    """Collects items while a batch is under way, and sends what gathered as the next one.

    A lone caller pays nothing for it: its item leaves at once.
    """

    def __init__(self, send: Callable[[Sequence[Item]], Awaitable[Sequence[Reply]]], *, limit: int) -> None:
        self._send = send
        self._limit = limit
        self._waiting: list[tuple[Item, asyncio.Future[Reply]]] = []
        self._sender: asyncio.Task[None] | None = None
        self._sending = False

    async def submit(self, item: Item) -> Reply:
        """Sends an item, alone or with others, and returns its reply; an error of the batch is raised to all of it."""
        if not self._sending:
            self._sending = True
            try:
                (reply,) = await self._send((item,))
                return reply
            finally:
                self._sending = False
                self._send_rest()
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        return await future

    def _send_rest(self) -> None:
        if self._waiting:
            self._sending = True
            self._sender = asyncio.get_running_loop().create_task(self._send_batches())

    async def _send_batches(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                await self._send_batch([(item, future) for item, future in batch if not future.done()])
        finally:
            self._sending = False

    async def _send_batch(self, batch: list[tuple[Item, asyncio.Future[Reply]]]) -> None:
        if not batch:
            return
        try:
            replies = await self._send([item for item, _ in batch])
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error) if isinstance(error, Exception) else future.cancel()
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), reply in zip(batch, replies, strict=True):
            if not future.done():
                future.set_result(reply)
