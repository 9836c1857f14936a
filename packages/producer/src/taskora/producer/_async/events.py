"""Following the events of tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Generic, TypeVar

from taskora.producer._async_session import AsyncSession
from taskora.producer._event_cursor import EventCursor
from taskora.producer._events import AnyJobEvent
from taskora.producer._payload import PayloadCodec

O = TypeVar("O")  # noqa: E741 - output


class AsyncEventStream(Generic[O]):
    """Every event of some tasks from the moment it is opened: when iteration starts, or by `open` before that.

    Iteration outlasts a server that is away for a while, and ends when the producer is closed. Going on with a
    second loop continues where the first one had read to, which may be some events after the last one it delivered.
    """

    def __init__(self, session: AsyncSession, codecs: Mapping[str, PayloadCodec[Any]]) -> None:
        self._session: Final = session
        self._cursor: Final = EventCursor(codecs)

    async def open(self) -> None:
        """Remembers where the streams end now; events after that will be delivered.

        Raises:
            BackendError: the server cannot be reached.
        """
        await self._session.drive(self._cursor.open())

    async def __aiter__(self) -> AsyncIterator[AnyJobEvent[O]]:
        await self.open()
        feed = self._session.open_feed()
        try:
            while events := await self._session.next_events(self._cursor, feed):
                for event in events:
                    yield event
        finally:
            await self._session.close_feed(feed)
