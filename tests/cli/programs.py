"""Running the command: in this process, where that is all there is to see, or as a program of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from taskora.cli._main import run
from tests.polling import eventually


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Command:
    """Runs commands against one server, in this process."""

    capture: pytest.CaptureFixture[str]
    url: str

    def __call__(self, *arguments: str) -> Outcome:
        self.capture.readouterr()
        code = run([*arguments, "--url", self.url])
        captured = self.capture.readouterr()
        return Outcome(code=code, out=captured.out, err=captured.err)


@dataclass(frozen=True, slots=True)
class Program:
    """The command as a process."""

    process: subprocess.Popen[bytes]
    errors: Path

    def log(self) -> str:
        return self.errors.read_text(encoding="utf-8")

    def wait_for(self, pattern: str, count: int = 1) -> list[str]:
        """Wait until `pattern` is in the log `count` times, and return what its group matched."""
        return eventually(lambda: _at_least(count, re.findall(pattern, self.log())), deadline=30)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


def _at_least(count: int, found: list[str]) -> list[str]:
    return found if len(found) >= count else []


@contextmanager
def started(folder: Path, *arguments: str, **environment: str) -> Generator[Program]:
    """Start the command in a folder; it is killed at the end of the block if it still runs."""
    errors = folder / "stderr.txt"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "taskora.cli", *arguments],
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        yield Program(process, errors)
    finally:
        process.kill()
        process.wait()


def is_running(pid: int) -> bool:
    """Whether a process exists, and is not merely unburied."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def write_module(folder: Path, name: str, lines: Sequence[str]) -> None:
    """Write a module for the command to import."""
    (folder / f"{name}.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
