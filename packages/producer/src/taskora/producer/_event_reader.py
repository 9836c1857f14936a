"""Following the events of tasks on a backend, without a producer."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from taskora.producer._awaiting import AwaitEvents
from taskora.producer._event_cursor import EventCursor
from taskora.producer._events import AnyJobEvent
from taskora.producer._payload import PayloadCodec
from taskora.wire import Backend, EventFeed, Flow, Operation, Pause, drive_async


class EventReader:
    """Every event of some tasks from the moment it is opened: when iteration starts, or by `open` before that.

    A server that is away for a while is waited for; nothing is skipped, unless the server has trimmed it meanwhile.

    Args:
        backend: Where the events are.
        codecs: How results are decoded, by task.
        positions: Where to begin, by task; for tasks that are not in it, where their streams end when it is opened.
    """

    def __init__(
        self,
        backend: Backend,
        codecs: Mapping[str, PayloadCodec[Any]],
        positions: Mapping[str, str] | None = None,
    ) -> None:
        self._backend: Final = backend
        self._cursor: Final = EventCursor(codecs, positions)

    async def open(self) -> None:
        """Remembers where the streams end now; events after that will be delivered.

        Raises:
            BackendError: the server cannot be reached.
        """
        await drive_async(self._cursor.open(), self._backend.run)

    async def __aiter__(self) -> AsyncIterator[AnyJobEvent[Any]]:
        await self.open()
        feed = self._backend.open_feed()
        try:
            while True:
                for event in await self._perform(self._cursor.read(), feed):
                    yield event
        finally:
            await feed.close()

    async def _perform(self, flow: Flow[list[AnyJobEvent[Any]]], feed: EventFeed) -> list[AnyJobEvent[Any]]:
        async def perform(step: Operation[Any] | Pause | AwaitEvents) -> Any:
            if isinstance(step, Pause):
                return await asyncio.sleep(step.seconds)
            if isinstance(step, AwaitEvents):
                return await feed.read(step.positions, block_ms=step.block_ms)
            return await self._backend.run(step)

        return await drive_async(flow, perform)
