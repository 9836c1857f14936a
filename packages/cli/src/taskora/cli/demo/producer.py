"""The demo's producer: it imports the contracts, and no handler."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taskora.cli.demo.contracts import INDEX_FILE, WATCH_FILE, FileIndex, SourceFile
from taskora.contracts import JobCancelledError, JobFailedError, JobState
from taskora.producer import ActiveEvent, AsyncJobHandle, AsyncProducer, JobInfo

CANCEL_REASON: Final = "the demo has seen that it runs"
_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledJob:
    """A job that was cancelled while it ran."""

    id: str
    state: JobState | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexing:
    """What came back: one index per file that could be parsed, and the jobs as the server knows them."""

    indexes: dict[Path, FileIndex]
    failed: dict[Path, str]
    seconds: float
    completed_jobs: list[JobInfo]
    dead_letters: list[JobInfo]
    cancelled: CancelledJob


async def index_files(url: str, files: Sequence[Path], *, on_result: Callable[[], None]) -> Indexing:
    """Has all files indexed, and a job that would never end cancelled meanwhile.

    Args:
        url: Where the server is.
        files: What to index.
        on_result: Called for each file that has been indexed, or cannot be.
    """
    async with AsyncProducer(url) as producer:
        async with asyncio.TaskGroup() as group:
            cancelling = group.create_task(_cancel_while_it_runs(producer, files[0]))
            started_at = time.monotonic()
            handles = await producer.register(INDEX_FILE).dispatch_many(SourceFile(path=str(file)) for file in files)
            outcomes = await asyncio.gather(*(_outcome(handle, on_result) for handle in handles))
            seconds = time.monotonic() - started_at
        results = list(zip(files, outcomes, strict=True))
        return Indexing(
            indexes={file: outcome for file, outcome in results if isinstance(outcome, FileIndex)},
            failed={file: outcome for file, outcome in results if isinstance(outcome, str)},
            seconds=seconds,
            completed_jobs=[job async for job in _completed(producer)],
            dead_letters=await producer.dead_letters.list(INDEX_FILE, limit=_PAGE),
            cancelled=cancelling.result(),
        )


async def _outcome(handle: AsyncJobHandle[FileIndex], on_result: Callable[[], None]) -> FileIndex | str:
    """The index of a file, or why there is none."""
    outcome: FileIndex | str
    try:
        outcome = await handle.result()
    except JobFailedError as error:
        outcome = error.error
    on_result()
    return outcome


async def _cancel_while_it_runs(producer: AsyncProducer, file: Path) -> CancelledJob:
    watch = producer.register(WATCH_FILE)
    events = watch.events()
    await events.open()
    handle = await watch.dispatch(SourceFile(path=str(file)))
    async for event in events:
        if isinstance(event, ActiveEvent):
            break
    await handle.cancel(reason=CANCEL_REASON)
    reason: str | None = None
    try:
        await handle.result()
    except JobCancelledError as error:
        reason = error.reason
    return CancelledJob(id=handle.id, state=await handle.state(), reason=reason)


async def _completed(producer: AsyncProducer) -> AsyncIterator[JobInfo]:
    offset = 0
    while page := await producer.inspector.completed(INDEX_FILE, limit=_PAGE, offset=offset):
        offset += len(page)
        for job in page:
            yield job
