"""Generated files are what their generators write."""

import subprocess
import sys

from tests.architecture.repository import ROOT


def test_bindings_of_the_scripts_are_fresh() -> None:
    command = [sys.executable, "tools/bindings.py", "--check"]
    check = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr
