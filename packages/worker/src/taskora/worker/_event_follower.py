"""Reads the events of jobs, and delivers them to listeners."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, cast

from taskora.producer import EventReader, JobEvent, PayloadCodec
from taskora.wire import Backend
from taskora.worker._listeners import Listeners
from taskora.worker._roles import end, perform

Codecs = Mapping[str, PayloadCodec[Any]]


class EventFollower:
    """Follows every task that somebody listens to; tasks and listeners may come at any time.

    Those that come later are followed by a reader of their own. It begins at the instant at which they came, as the
    storage's clock was seen last: an event of the moment before may be among what it delivers.
    """

    name = "event_follower"
    interval = 0.0

    def __init__(
        self,
        backend: Backend,
        codecs: Codecs,
        listeners: Listeners,
        *,
        now_ms: Callable[[], int | None],
        on_trouble: Callable[[BaseException], None],
    ) -> None:
        self._backend: Final = backend
        self._codecs: Final = codecs
        self._listeners: Final = listeners
        self._now_ms: Final = now_ms
        self._on_trouble: Final = on_trouble
        self._positions: Final[dict[str, str]] = {}
        self._loop: Final = asyncio.get_running_loop()
        self._news: Final = asyncio.Event()
        self._followed: Final[set[str]] = set()
        self._readings: Final[list[asyncio.Task[None]]] = []

    def notice(self) -> None:
        """A task or a listener was added; may be called from any thread."""
        now_ms = self._now_ms()
        if now_ms is not None:
            for task in self._codecs:
                if self._is_new(task):
                    # Reading begins after a position, and an event of this very instant must not be left out.
                    self._positions.setdefault(task, f"{now_ms - 1}-0")
        self._loop.call_soon_threadsafe(self._news.set)

    async def follow(self) -> None:
        """Events from now on are delivered, of all tasks that somebody listens to."""
        codecs = {task: codec for task, codec in self._codecs.items() if self._is_new(task)}
        if not codecs:
            return
        begins = {task: self._positions[task] for task in codecs if task in self._positions}
        reader = EventReader(self._backend, codecs, begins)
        await reader.open()
        self._followed.update(codecs)
        reading = perform(_Reading(reader, self._listeners), self._on_trouble)
        self._readings.append(self._loop.create_task(reading, name=_Reading.name))

    def _is_new(self, task: str) -> bool:
        return task not in self._followed and self._listeners.want(task)

    async def tick(self) -> None:
        """Waits for a task or a listener that is new, and follows what it asks for."""
        await self._news.wait()
        self._news.clear()
        try:
            await self.follow()
        except Exception:
            self._news.set()
            raise

    async def close(self) -> None:
        """Follows nothing any more."""
        await end(self._readings)


class _Reading:
    """One reader and the tasks it began with."""

    name = "event_reader"
    interval = 0.0

    def __init__(self, reader: EventReader, listeners: Listeners) -> None:
        self._reader: Final = reader
        self._listeners: Final = listeners

    async def tick(self) -> None:
        """Follows the events until something unexpected happens."""
        # Closed here and not when it is collected: the reader holds a connection.
        async with aclosing(cast("AsyncGenerator[JobEvent]", aiter(self._reader))) as events:
            async for event in events:
                await self._listeners.deliver(f"task:{event.kind}", event, task=event.task)
