"""What synchronous producers and their handles share: a backend. Each wait uses a connection of its own thread."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from taskora.contracts import BackendError, TaskContract
from taskora.producer._dispatching import BATCH_SIZE, enqueue
from taskora.producer._events import AnyJobEvent, job_events, needs_status
from taskora.producer._payload import Payloads
from taskora.producer._results import AwaitEvents, Deadline, wait_until_settled
from taskora.wire import (
    Flow,
    JobStatus,
    JsonSerializer,
    LastEvent,
    NewJob,
    Operation,
    Pause,
    ReadStatuses,
    Serializer,
    SyncBackend,
    drive,
)
from taskora.wire.backends import SyncTarget as Target
from taskora.wire.backends import open_sync_backend

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output
R = TypeVar("R")
SyncTarget: TypeAlias = Target

_BLOCK_MS: Final = 5000


class Session:
    """One application's worth of producing, for any number of threads."""

    def __init__(self, target: SyncTarget, *, prefix: str | None, serializer: Serializer | None) -> None:
        self.backend: Final[SyncBackend] = open_sync_backend(target, prefix=prefix)
        self.json: Final[Serializer] = JsonSerializer()
        self.plain: Final[Serializer] = serializer or self.json
        self._serializer: Final = serializer
        self._owns_backend: Final = self.backend is not target
        self.run: Final = self.backend.run

    def payloads(self, contract: TaskContract[I, O]) -> Payloads[I, O]:
        """The codecs of a contract."""
        return Payloads(contract, self._serializer)

    def drive(self, flow: Flow[R]) -> R:
        """Runs a flow of operations, pauses and waits."""
        return drive(flow, self._perform)

    def _perform(self, step: Operation[Any] | Pause | AwaitEvents) -> Any:
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        if isinstance(step, AwaitEvents):
            return self.backend.read_events({step.task: step.position}, block_ms=step.block_ms)
        return self.backend.run(step)

    def enqueue(self, contract: TaskContract[Any, Any], job: NewJob) -> bool:
        """Enqueues a job."""
        return self.backend.run(enqueue(contract, (job,)))[0]

    def enqueue_many(self, contract: TaskContract[Any, Any], jobs: Sequence[NewJob]) -> list[bool]:
        """Enqueues a batch."""
        flags: list[bool] = []
        for start in range(0, len(jobs), BATCH_SIZE):
            flags += self.backend.run(enqueue(contract, jobs[start : start + BATCH_SIZE]))
        return flags

    def settled(self, task: str, job_id: str, deadline: Deadline) -> JobStatus | None:
        """Waits for the end of a job."""
        return self.drive(wait_until_settled(task, job_id, deadline))

    def events(self, contract: TaskContract[I, O]) -> Iterator[AnyJobEvent[O]]:
        """The events of a task from now on."""
        task, codec = contract.name, self.payloads(contract).output
        position = self.run(LastEvent(task=task))
        while True:
            try:
                entries = self.backend.read_events({task: position}, block_ms=_BLOCK_MS)
                ids = tuple({entry.job_id for entry in entries if needs_status(entry)})
                statuses = dict(zip(ids, self.run(ReadStatuses(task=task, job_ids=ids)), strict=True)) if ids else {}
            except BackendError:
                time.sleep(1.0)
                continue
            for entry in entries:
                position = entry.position
                yield from job_events(entry, statuses.get(entry.job_id), codec)

    def close(self) -> None:
        """Closes the backend if it was opened here."""
        if self._owns_backend:
            self.backend.close()
