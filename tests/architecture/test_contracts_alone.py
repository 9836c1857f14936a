"""taskora.contracts needs nothing but the standard library, and its own tests say so."""

import re
import subprocess
import venv
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT

CONTRACTS = ROOT / "packages" / "contracts"
LIST_DISTRIBUTIONS = "from importlib.metadata import distributions; print(list(distributions()))"


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """Return an interpreter that sees the sources of contracts and no installed distribution."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(tmp_path)
    (packages,) = tmp_path.glob("lib/python*/site-packages")
    (packages / "contracts.pth").write_text(f"{CONTRACTS / 'src'}\n")
    return tmp_path / "bin" / "python"


def test_contracts_passes_its_tests_without_any_third_party_package(bare_python: Path) -> None:
    assert _run(bare_python, "-c", LIST_DISTRIBUTIONS) == "[]\n"
    report = _run(bare_python, "-W", "error", "-m", "unittest", "discover", "-s", str(CONTRACTS / "tests"))
    assert re.search(r"^Ran [1-9]\d* tests?", report, re.MULTILINE), report


def _run(python: Path, *arguments: str) -> str:
    command = [str(python), "-I", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
