"""Sets the stage: a server, worker processes, a folder for scratch; and strikes it, however the demo ends."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar

from taskora.cli._children import Lifeline, describe_end, start_worker
from taskora.cli.demo.files import python_files, standard_library, write_broken_file
from taskora.cli.demo.producer import Indexing, index_files
from taskora.cli.demo.report import Report, build_report
from taskora.wire.backends import EmbeddedServer

T = TypeVar("T")
Process = asyncio.subprocess.Process

WORKERS: Final = 2
_MODULE: Final = "taskora.cli.demo.worker"
_LONGEST_SECONDS: Final = 55.0
_PATIENCE_SECONDS: Final = 5.0
_LOG_LINES: Final = 5


class DemoError(Exception):
    """The demo could not be performed; the message says why."""


def perform(*, on_start: Callable[[int], None], on_result: Callable[[], None]) -> Report:
    """Performs the demo. Nothing is left when it returns or raises.

    Args:
        on_start: Called with the number of files, before the first is indexed.
        on_result: Called for each file that was indexed, or could not be.

    Raises:
        DemoError: a worker process died, or it took too long.
        UsageError: there is no server program to run.
        KeyboardInterrupt: Ctrl-C, or SIGTERM.
    """
    with (
        _termination_as_interrupt(),
        tempfile.TemporaryDirectory(prefix="taskora-demo-") as scratch,
        EmbeddedServer() as server,
    ):
        root = standard_library()
        broken = write_broken_file(Path(scratch))
        files = [*python_files(root), broken]
        on_start(len(files))
        indexing = asyncio.run(_index(server.url, files, Path(scratch) / "workers.log", on_result))
        return build_report(indexing, root=root, broken=broken, workers=WORKERS)


@contextmanager
def _termination_as_interrupt() -> Generator[None]:
    """A request to end cleans up as Ctrl-C does, also where a shell has made background jobs ignore Ctrl-C."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGINT)

    interrupting = signal.signal(signal.SIGINT, signal.default_int_handler)
    ending = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, ending)
        signal.signal(signal.SIGINT, interrupting)


async def _index(url: str, files: Sequence[Path], log: Path, on_result: Callable[[], None]) -> Indexing:
    try:
        async with asyncio.timeout(_LONGEST_SECONDS), _workers(url, log) as processes:
            return await _while_all_run(processes, index_files(url, files, on_result=on_result), log)
    except TimeoutError:
        raise DemoError(f"the demo did not end within {_LONGEST_SECONDS:g} s: is this machine busy?") from None


@asynccontextmanager
async def _workers(url: str, log: Path) -> AsyncGenerator[list[Process]]:
    processes: list[Process] = []
    with Lifeline() as lifeline, log.open("wb") as stderr:
        try:
            for _ in range(WORKERS):
                environment = {"TASKORA_URL": url}
                processes.append(await start_worker(_MODULE, lifeline, environment=environment, stderr=stderr))
            yield processes
        finally:
            await asyncio.gather(*(_stop(process) for process in processes))


async def _stop(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _PATIENCE_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _while_all_run(processes: Sequence[Process], work: Coroutine[Any, Any, T], log: Path) -> T:
    """Does the work, and gives up as soon as a worker process ends before it is done."""
    working = asyncio.ensure_future(work)
    watching = [asyncio.ensure_future(process.wait()) for process in processes]
    try:
        await asyncio.wait([working, *watching], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        code = next(watch.result() for watch in watching if watch.done())
        raise DemoError(f"a worker process {describe_end(code)}; the end of its log: {_last_lines(log)}")
    finally:
        for task in (working, *watching):
            task.cancel()
        await asyncio.gather(working, *watching, return_exceptions=True)


def _last_lines(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:]) or "(empty)"
