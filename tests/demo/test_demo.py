"""`taskora demo`: its numbers are true, it ends well however it ends, and it leaves nothing behind."""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.polling import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PATIENCE_S = 90
COMMAND = [sys.executable, "-W", "error", "-m", "taskora.cli", "demo"]


@dataclass(frozen=True, slots=True)
class Room:
    """A folder for the temporary files of a demo, by which its processes can be found."""

    folder: Path

    @property
    def environment(self) -> Mapping[str, str]:
        return os.environ | {"TMPDIR": str(self.folder)}

    def processes(self) -> list[str]:
        """The command lines of all processes that were started with this folder."""
        return [found for entry in Path("/proc").glob("[0-9]*") if (found := self._command_of(entry))]

    def _command_of(self, entry: Path) -> str:
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:  # gone meanwhile, or somebody else's
            return ""
        ours = os.fsencode(self.folder) in environment + command
        return command.replace(b"\0", b" ").decode(errors="replace") if ours else ""

    def assert_empty(self) -> None:
        assert self.processes() == []
        assert list(self.folder.iterdir()) == []


@pytest.fixture
def room() -> Iterator[Room]:
    # Not tmp_path: the server's socket is in here, and its path must be short.
    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    yield Room(folder)
    shutil.rmtree(folder)


def test_the_demo_counts_what_is_there_and_leaves_nothing_behind(room: Room) -> None:
    command = [*COMMAND, "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=room.environment, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(character == "\n" or character.isprintable() for character in done.stderr)
    room.assert_empty()
    report = json.loads(done.stdout)
    _check_counts(report)
    _check_dead_letters(report)
    _check_speed(report)
    assert report["cancelled"]["state"] == "cancelled"
    assert report["cancelled"]["reason"] == "the demo has seen that it runs"
    assert report["workers"] == 2


def _check_counts(report: dict[str, Any]) -> None:
    """Every file has a result or an error, and the sums are those of somebody who counts differently."""
    files = _stdlib_files()
    with warnings.catch_warnings(action="ignore"):
        counts = [found for path in files if (found := _count(path)) is not None]
    assert report["files"] == len(files) + 1
    assert report["completed"] == len(counts)
    assert report["failed"] == len(files) - len(counts) + 1
    names = ("lines", "functions", "classes", "imports")
    assert report["totals"] == {name: sum(found[name] for found in counts) for name in names}
    longest = [item["lines"] for item in report["longest_functions"]]
    assert longest == sorted((found["longest"] for found in counts), reverse=True)[:10]


def _stdlib_files() -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(sysconfig.get_path("stdlib")):
        folders[:] = [name for name in folders if name not in ("site-packages", "dist-packages")]
        found += [Path(folder, name) for name in names if name.endswith(".py")]
    return found


def _count(path: Path) -> dict[str, int] | None:
    source = path.read_bytes()
    try:
        nodes = list(_not_expressions(ast.parse(source)))
    except SyntaxError:
        return None
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {
        "lines": len(source.splitlines()),
        "functions": len(functions),
        "classes": sum(isinstance(node, ast.ClassDef) for node in nodes),
        "imports": sum(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes),
        "longest": max(((node.end_lineno or 0) - node.lineno + 1 for node in functions), default=0),
    }


def _not_expressions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):
            yield from _not_expressions(child)


def _check_dead_letters(report: dict[str, Any]) -> None:
    letters = report["dead_letters"]
    assert len(letters) == report["failed"]
    assert {letter["attempts"] for letter in letters} == {1}
    (deliberate,) = [letter for letter in letters if letter["deliberate"]]
    assert deliberate["file"] == "broken_on_purpose.py"
    assert "invalid syntax" in deliberate["error"]


def _check_speed(report: dict[str, Any]) -> None:
    assert report["duration_ms"] > 0
    assert report["files_per_second"] == pytest.approx(report["files"] * 1000 / report["duration_ms"], rel=0.01)
    for name in ("latency_ms", "run_ms"):
        found = report[name]
        assert 0 <= found["p50"] <= found["p95"] <= found["p99"] <= report["duration_ms"] * 1.1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_with_code_130_and_stops_everything(room: Room, number: signal.Signals) -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=room.environment) as process:
        try:
            eventually(lambda: len(_workers(room)) == 2, deadline=30)
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert b"Traceback" not in errors
    room.assert_empty()


def test_a_demo_that_is_killed_takes_server_and_workers_with_it(room: Room) -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, env=room.environment) as process:
        eventually(lambda: len(_workers(room)) == 2, deadline=30)
        process.kill()
    eventually(lambda: room.processes() == [], deadline=60)


def test_a_worker_that_dies_ends_the_demo_with_a_reason(room: Room) -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=room.environment) as process:
        try:
            eventually(lambda: len(_workers(room)) == 2, deadline=30)
            os.kill(_workers(room)[0], signal.SIGKILL)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 70
    assert errors.startswith(b"error: a worker process was killed by SIGKILL; the end of its log: ")
    room.assert_empty()


def _workers(room: Room) -> list[int]:
    entries = [entry for entry in Path("/proc").glob("[0-9]*") if "taskora.cli worker" in room._command_of(entry)]
    return [int(entry.name) for entry in entries]
