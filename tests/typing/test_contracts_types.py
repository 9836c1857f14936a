"""What type checkers must infer and what they must refuse.

The files in `cases/` are checked, not run. A line that must be refused ends with `# E: mypy,pyright`, or
with one of the two; every other line must be accepted by both. `assert_type` states what is inferred.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CASES = sorted((HERE / "cases").glob("*.py"))
MARKER = re.compile(r"# E: (\w+(?:,\w+)*)$")

Lines = dict[str, str]
"""`file:line` of each refused line, and why it is refused; empty where it was only expected to be."""

# A cold cache: both checkers read the whole of pydantic.
pytestmark = pytest.mark.timeout(300)


def test_mypy_refuses_exactly_the_marked_lines() -> None:
    differences("mypy", mypy_errors())


def test_pyright_refuses_exactly_the_marked_lines() -> None:
    differences("pyright", pyright_errors())


def test_every_marker_names_checkers_that_exist() -> None:
    names = {name for path in CASES for line in path.read_text().splitlines() for name in marked(line)}
    assert names == {"mypy", "pyright"}


def differences(checker: str, refused: Lines) -> None:
    expected = {
        f"{path.name}:{number}": line.strip()
        for path in CASES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if checker in marked(line)
    }
    accepted = {where: line for where, line in expected.items() if where not in refused}
    surprises = {where: why for where, why in refused.items() if where not in expected}
    assert not accepted, f"{checker} accepts what it must refuse: {json.dumps(accepted, indent=2)}"
    assert not surprises, f"{checker} refuses what it must accept: {json.dumps(surprises, indent=2)}"


def marked(line: str) -> list[str]:
    found = MARKER.search(line)
    return found[1].split(",") if found else []


def mypy_errors() -> Lines:
    report = run("mypy", "--strict", "--output=json", *map(str, CASES))
    reports = [json.loads(line) for line in report.splitlines()]
    errors = [report for report in reports if report["severity"] == "error"]
    return {place(error["file"], error["line"]): error["message"] for error in errors}


def pyright_errors() -> Lines:
    # The settings of the repository leave the cases out, even where they are named on the command line.
    settings = str(HERE / "pyrightconfig.json")
    report = json.loads(run("pyright", "--outputjson", "--pythonpath", sys.executable, "--project", settings))
    errors: list[dict[str, Any]] = [
        diagnostic for diagnostic in report["generalDiagnostics"] if diagnostic["severity"] == "error"
    ]
    assert report["summary"]["filesAnalyzed"] == len(CASES)
    return {place(error["file"], error["range"]["start"]["line"] + 1): error["message"] for error in errors}


def place(file: str, line: int) -> str:
    return f"{Path(file).name}:{line}"


def run(checker: str, *options: str) -> str:
    """Run a checker with the settings of the repository, once for all cases, and return its report."""
    done = subprocess.run(
        [sys.executable, "-m", checker, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout
