"""The parts of the demo, each on its own."""

import asyncio
import gc
import subprocess
import sys
from pathlib import Path

import pytest

from taskora.cli.demo.contracts import FileIndex, LongestFunction, SourceFile
from taskora.cli.demo.files import python_files, write_broken_file
from taskora.cli.demo.report import Percentiles, percentiles
from taskora.cli.demo.worker import index_file, worker
from tests.servers import Server

SOURCE = """\
import os
from sys import (
    path,
)

class Outer:
    async def method(self):
        def inner(): return lambda: [x for x in ()]
        try:
            import json
        except ImportError:
            class Late: pass
        else:
            match self:
                case None:
                    def in_case(): pass
        finally:
            with self:
                def in_with(): pass
        return inner
"""


def test_the_index_of_a_file_counts_what_is_nested(tmp_path: Path) -> None:
    path = tmp_path / "source.py"
    path.write_text(SOURCE, encoding="utf-8")
    assert index_file(SourceFile(path=str(path))) == FileIndex(
        lines=20,
        functions=4,
        classes=2,
        imports=3,
        longest=LongestFunction(name="method", line=7, lines=14),
    )


def test_an_empty_file_has_no_longest_function(tmp_path: Path) -> None:
    path = tmp_path / "empty.py"
    path.touch()
    assert index_file(SourceFile(path=str(path))) == FileIndex(lines=0, functions=0, classes=0, imports=0)


def test_the_broken_file_cannot_be_indexed(tmp_path: Path) -> None:
    with pytest.raises(SyntaxError):
        index_file(SourceFile(path=str(write_broken_file(tmp_path))))


def test_what_others_have_installed_is_not_indexed(tmp_path: Path) -> None:
    for name in ("a.py", "package/b.py", "site-packages/c.py", "python3/dist-packages/d.py", "e.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert python_files(tmp_path) == [tmp_path / "a.py", tmp_path / "package" / "b.py"]


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ([], Percentiles(p50=0, p95=0, p99=0)),
        ([7], Percentiles(p50=7, p95=7, p99=7)),
        (list(range(101)), Percentiles(p50=50, p95=95, p99=99)),
    ],
)
def test_percentiles_of_few_and_many(durations: list[float], expected: Percentiles) -> None:
    assert percentiles(durations) == expected


def test_the_worker_module_makes_a_worker_of_its_own(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with worker() as made:
            assert sorted(made.implementations) == ["demo-index-file", "demo-watch-file"]

    monkeypatch.setenv("TASKORA_URL", server.url)
    try:
        asyncio.run(run())
    finally:
        gc.unfreeze()


def test_the_contracts_need_nothing_but_taskora_contracts() -> None:
    assert _parts_loaded_by("taskora.cli.demo.contracts") == {"taskora.cli", "taskora.contracts"}
    assert "pydantic" not in _modules_loaded_by("taskora.cli.demo.contracts")


def test_the_producer_imports_no_handler() -> None:
    loaded = _modules_loaded_by("taskora.cli.demo.producer")
    assert "taskora.cli.demo.contracts" in loaded
    assert "taskora.cli.demo.worker" not in loaded
    assert not any(name.startswith("taskora.worker") for name in loaded)


def _parts_loaded_by(module: str) -> set[str]:
    names = (name.split(".") for name in _modules_loaded_by(module))
    return {".".join(parts[:2]) for parts in names if parts[0] == "taskora" and len(parts) > 1}


def _modules_loaded_by(module: str) -> set[str]:
    script = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    return set(subprocess.check_output([sys.executable, "-W", "error", "-c", script], text=True).splitlines())
