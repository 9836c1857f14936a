"""What asyncio producers and their handles share: a backend, group commits, one reader for all waits."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from taskora.contracts import TaskContract
from taskora.producer._dispatching import BATCH_SIZE, enqueue
from taskora.producer._event_reader import EventReader
from taskora.producer._events import AnyJobEvent
from taskora.producer._group_commit import GroupCommit
from taskora.producer._payload import Payloads
from taskora.producer._results import Deadline
from taskora.producer._waiting import ResultHub
from taskora.wire import Backend, Flow, JobStatus, JsonSerializer, NewJob, Operation, Serializer, drive_async
from taskora.wire.backends import Target, open_backend

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output
R = TypeVar("R")
AsyncTarget: TypeAlias = Target


class AsyncSession:
    """One connection's worth of producing. `plain` and `json` turn stored bytes into plain values."""

    def __init__(self, target: AsyncTarget, *, prefix: str | None, serializer: Serializer | None) -> None:
        self.backend: Final[Backend] = open_backend(target, prefix=prefix)
        self.json: Final[Serializer] = JsonSerializer()
        self.plain: Final[Serializer] = serializer or self.json
        self._serializer: Final = serializer
        self._owns_backend: Final = self.backend is not target
        self._hub: Final = ResultHub(self.backend)
        self._commits: Final[dict[str, GroupCommit[NewJob, bool]]] = {}
        self.run: Final = self.backend.run

    def payloads(self, contract: TaskContract[I, O]) -> Payloads[I, O]:
        """The codecs of a contract."""
        return Payloads(contract, self._serializer)

    async def drive(self, flow: Flow[R]) -> R:
        """Runs a flow of operations."""
        return await drive_async(flow, self._perform)

    async def _perform(self, operation: Operation[Any]) -> Any:
        return await self.backend.run(operation)

    async def enqueue(self, contract: TaskContract[Any, Any], job: NewJob) -> bool:
        """Enqueues a job; concurrent calls share round trips."""
        commit = self._commits.get(contract.name)
        if commit is None:
            commit = GroupCommit[NewJob, bool](lambda jobs: self._send(contract, jobs), limit=BATCH_SIZE)
            self._commits[contract.name] = commit
        return await commit.submit(job)

    async def enqueue_many(self, contract: TaskContract[Any, Any], jobs: Sequence[NewJob]) -> list[bool]:
        """Enqueues a batch of its own."""
        flags: list[bool] = []
        for start in range(0, len(jobs), BATCH_SIZE):
            flags += await self._send(contract, jobs[start : start + BATCH_SIZE])
        return flags

    async def _send(self, contract: TaskContract[Any, Any], jobs: Sequence[NewJob]) -> tuple[bool, ...]:
        return await self.backend.run(enqueue(contract, jobs))

    async def settled(self, task: str, job_id: str, deadline: Deadline) -> JobStatus | None:
        """Waits for the end of a job."""
        return await self._hub.wait(task, job_id, deadline)

    async def events(self, contract: TaskContract[I, O]) -> AsyncIterator[AnyJobEvent[O]]:
        """The events of a task from now on."""
        async for event in EventReader(self.backend, {contract.name: self.payloads(contract).output}):
            yield event

    async def close(self) -> None:
        """Ends all waits, and closes the backend if it was opened here."""
        await self._hub.close()
        if self._owns_backend:
            await self.backend.close()
