"""Says that this worker is there, so that operators see who works on what, and what nobody works on."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Iterable
from typing import Any, Final

from taskora.contracts import BackendError
from taskora.wire import WORKER_LIFETIME_MS, AnnounceWorker, Backend, WorkerRecord, random_id
from taskora.worker._implementation import Implementation
from taskora.worker._rounds import for_each, worst

logger = logging.getLogger("taskora.worker")

# Two that are lost in a row do no harm.
_INTERVAL_SECONDS: Final = WORKER_LIFETIME_MS / 3000
# How long leaving may take: who does not manage is forgotten anyway.
_LEAVE_SECONDS: Final = 0.5


class Presence:
    """Announces a worker for each of its tasks."""

    def __init__(self, backend: Backend, implementations: Iterable[Implementation[Any, Any]]) -> None:
        self.name: Final = "presence"
        self.interval: Final = _INTERVAL_SECONDS
        self._backend: Final = backend
        worker_id, host, pid, started_ms = random_id(), socket.gethostname(), os.getpid(), int(time.time() * 1000)
        self._records: Final = [
            WorkerRecord(
                worker_id=worker_id,
                task=implementation.task,
                host=host,
                pid=pid,
                version=implementation.version,
                concurrency=implementation.concurrency,
                started_ms=started_ms,
            )
            for implementation in implementations
        ]

    async def tick(self) -> None:
        """Says that the worker is there, for each task; an error with one task concerns no other."""
        failed = await for_each(self._records, lambda record: self._backend.run(AnnounceWorker(worker=record)))
        if failed:
            raise worst(failed)

    async def arrive(self) -> None:
        """Says it for the first time; a server that refuses, being full for instance, is no reason not to work."""
        try:
            await self.tick()
        except BackendError as error:
            logger.warning("role_failed", extra={"role": self.name, "error": str(error)})

    async def leave(self) -> None:
        """Says that it is not there any more, if that can be done quickly."""
        goodbyes = [self._backend.run(AnnounceWorker(worker=record, leaves=True)) for record in self._records]
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                await asyncio.gather(*goodbyes, return_exceptions=True)
        except TimeoutError:
            logger.warning("role_failed", extra={"role": self.name, "error": "it took too long to leave"})
