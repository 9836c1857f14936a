"""A process pool, and how tests call handlers in it. Imports no pytest, so that scripts can use it too."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from packages.worker.tests import process_handlers as handlers
from taskora.contracts import static_contract
from taskora.wire import Claim
from taskora.worker import Context, Defaults
from taskora.worker._context import ReportKind
from taskora.worker._implementation import Implementation, resolve
from taskora.worker._processes import ProcessPool, in_process
from taskora.worker._threads import ThreadPool
from tests.polling import aeventually

ROOT = Path(__file__).parents[3]


class FakePort:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.reports: list[tuple[ReportKind, bytes]] = []
        self.heartbeats = 0

    def report(self, kind: ReportKind, payload: bytes) -> None:
        self.reports.append((kind, payload))

    def heartbeat(self) -> None:
        self.heartbeats += 1


class Pool:
    """A pool whose processes all run `play`, so that few have to be started."""

    def __init__(self) -> None:
        self.threads = ThreadPool()
        self.processes = ProcessPool(self.threads)
        self.port = FakePort()

    async def call(self, handler: Callable[..., Any], data: object) -> Any:
        """Calls a handler by way of `play`."""
        return await self.call_directly(handlers.play, (handler, data))

    async def call_directly(self, handler: Callable[..., Any], data: object) -> Any:
        return await in_process(implementation(handler), self.processes)(self.context(data))

    def start(self, handler: Callable[..., Any], data: object) -> "asyncio.Task[Any]":
        return asyncio.get_running_loop().create_task(self.call(handler, data))

    def context(self, data: object) -> Context:
        claim = Claim(job_id="job-1", token="t", data=b"", version=1, attempt=2, timestamp_ms=1_700_000_000_123)
        context = Context(
            claim, self.port, task="task-1", max_attempts=3, timeout_ms=1500, claimed_ms=1_700_000_001_456
        )
        context.data = data
        return context

    async def close(self) -> None:
        await self.processes.close()
        self.threads.close()


@contextlib.contextmanager
def quick_starts(bytecode: Path) -> Generator[None]:
    """Saves processes the work of importing pytest, and of compiling where no byte code is kept.

    A new process imports the main module of its parent, if that has a file; that of pytest is of no use to it.
    """
    main = vars(sys.modules["__main__"])
    file = main.pop("__file__", None)
    kept = {name: os.environ.pop(name, None) for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")}
    if sys.dont_write_bytecode:
        os.environ["PYTHONPYCACHEPREFIX"] = str(bytecode)
        if not bytecode.exists():
            subprocess.run([sys.executable, "-c", f"import {handlers.__name__}"], cwd=ROOT, check=True)
    try:
        yield
    finally:
        os.environ.pop("PYTHONPYCACHEPREFIX", None)
        os.environ.update({name: value for name, value in kept.items() if value is not None})
        if file is not None:
            main["__file__"] = file


def implementation(handler: Callable[..., Any]) -> Implementation[Any, Any]:
    """A task whose handler runs in a process."""
    return resolve(static_contract("task-1"), handler, Defaults(), None, executor="process")


def handler_processes() -> list[int]:
    """Ids of this process's children, zombies included, without the tracker that multiprocessing keeps."""
    return sorted(pid for pid in _children_of(os.getpid()) if b"spawn_main" in _command_of(pid) or is_gone(pid))


def _children_of(parent: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{parent}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that ends while we look
            found += [int(pid) for pid in (thread / "children").read_text().split()]
    return found


def _command_of(pid: int) -> bytes:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def is_gone(pid: int) -> bool:
    """Whether a process runs no more. Orphans are reaped by whoever is their new parent, or stay zombies."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def open_files() -> int:
    """How many file descriptors this process has."""
    return len([*Path("/proc/self/fd").iterdir()])


async def written(path: Path) -> str:
    """Waits for the text of a file that a handler makes in one step."""
    await aeventually(path.exists, deadline=30)
    return await asyncio.to_thread(path.read_text)


async def stop(task: "asyncio.Task[Any]") -> None:
    """Cancels a task and waits for its end, which must be that."""
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
