"""Projects of somebody else, whose tests run in a process of their own."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

# What this repository has installed and somebody else may not have; a test turns on what it is about.
_OFF = ("asyncio", "anyio", "valkey", "randomly", "xdist", "hypothesispytest", "cacheprovider", "timeout")


@dataclass(frozen=True, slots=True)
class Run:
    """How a run of pytest ended, and what it printed."""

    code: int
    text: str

    @property
    def summary(self) -> str:
        """The last line."""
        return self.text.strip().splitlines()[-1]


def run_pytest(directory: Path, source: str, *arguments: str, plugins: tuple[str, ...] = ()) -> Run:
    """Runs one module of tests; warnings are errors. Of the optional plugins, only those that are named are there."""
    (directory / "test_project.py").write_text(dedent(source), encoding="utf-8")
    (directory / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    off = [word for name in _OFF if name not in plugins for word in ("-p", f"no:{name}")]
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-rsfE", *off, *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=50, check=False)
    return Run(done.returncode, done.stdout + done.stderr)
