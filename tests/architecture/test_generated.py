"""Generated files are what their generators write."""

import subprocess
import sys

import pytest

from tests.architecture.repository import ROOT


@pytest.mark.parametrize("generator", ["bindings.py", "unasync.py"])
def test_what_a_generator_writes_is_fresh(generator: str) -> None:
    command = [sys.executable, f"tools/{generator}", "--check"]
    check = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr
