"""Hears of cancellations the moment they are made."""

from collections.abc import Mapping
from typing import Final, Protocol

from taskora.wire import Backend


class Cancellable(Protocol):
    """Who runs jobs that may be cancelled."""

    def cancel(self, job_id: str) -> None:
        """Tells a job to stop if it runs here."""
        ...


class Canceller:
    """Follows the cancellation channels of all tasks over one connection. What is missed comes with a lease renewal."""

    name = "canceller"
    interval = 0.0

    def __init__(self, backend: Backend, lanes: Mapping[str, Cancellable]) -> None:
        self._backend: Final = backend
        self._lanes: Final = lanes

    async def tick(self) -> None:
        """Follows the channels until the connection breaks."""
        async with self._backend.cancellations(list(self._lanes)) as requests:
            async for request in requests:
                self._lanes[request.task].cancel(request.job_id)
