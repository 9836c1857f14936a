"""Worker processes that tests start, freeze and kill."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

from taskora.contracts import TaskContract
from taskora.producer import JobInfo, Producer
from tests.chaos.program import work

# Starting a process of Python takes seconds where many tests share a machine.
PATIENCE_S: Final = 60.0
ROOT = Path(__file__).resolve().parents[2]


class Fleet:
    """Starts workers on one server, and ends every one of them, by its process id."""

    def __init__(self, url: str, log: Path) -> None:
        self._url = url
        self._log = log
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *, pause_ms: int = 5, program: str = "tests.chaos.program") -> "subprocess.Popen[bytes]":
        """Starts one more; its jobs take `pause_ms`."""
        command = [sys.executable, "-m", program, self._url, str(pause_ms)]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        self.processes.append(process)
        return process

    def log(self) -> str:
        """What all workers have printed."""
        return self._log.read_text()

    def end(self) -> None:
        """Kills what still runs, frozen or not."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


@contextlib.contextmanager
def fleet(url: str, directory: Path) -> Generator[Fleet]:
    """A fleet that is gone when the block ends."""
    made = Fleet(url, directory / "workers.log")
    try:
        yield made
    finally:
        made.end()


def running_in(
    producer: Producer, process: "subprocess.Popen[bytes]", task: TaskContract[Any, Any] = work
) -> list[JobInfo]:
    """The active jobs that a process has begun."""
    return [info for info in producer.inspector.active(task, limit=100) if info.progress == {"pid": process.pid}]


@contextlib.contextmanager
def frozen(process: "subprocess.Popen[bytes]") -> Generator[None]:
    """Stops a process as a debugger, or a machine that swaps, would."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)
