"""Hears of cancellations the moment they are made."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from taskora.wire import Backend


class Cancellable(Protocol):
    """Who runs jobs that may be cancelled."""

    def cancel(self, job_id: str) -> None:
        """Tells a job to stop if it runs here."""
        ...


class Canceller:
    """Follows the cancellation channels of all tasks over one connection.

    What is missed while there is no subscription comes with a lease renewal: one is asked for whenever it begins.
    """

    name = "canceller"
    interval = 0.0

    def __init__(
        self, backend: Backend, lanes: Mapping[str, Cancellable], *, on_subscribed: Callable[[], None]
    ) -> None:
        self._backend: Final = backend
        self._lanes: Final = lanes
        self._on_subscribed: Final = on_subscribed

    async def tick(self) -> None:
        """Follows the channels until the connection breaks."""
        async with self._backend.cancellations(list(self._lanes)) as requests:
            self._on_subscribed()
            async for request in requests:
                self._lanes[request.task].cancel(request.job_id)
