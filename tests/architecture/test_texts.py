"""What must not be written anywhere."""

import re
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT, sources, tracked_files

# Put together here so that this file does not contain what it looks for.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK|NotImplemented" r"Error)\b")
REGISTRIES = re.compile(r"\b(pypi|pythonhosted|npmjs|debian)" r"\.org\b")
MACHINE_PATHS = re.compile(r"(?<![\w.~)}\]*-])/(" r"root|work|home|Users)/")

PRODUCT = [*sources(), *sorted(ROOT.glob("lua/**/*.lua"))]


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_product_code_is_finished(path: Path) -> None:
    assert _lines_with(UNFINISHED, path) == []


def test_only_the_lock_file_names_a_package_registry() -> None:
    found = [line for path in tracked_files() if path.name != "uv.lock" for line in _lines_with(REGISTRIES, path)]
    assert found == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert [line for path in tracked_files() for line in _lines_with(MACHINE_PATHS, path)] == []


def _lines_with(pattern: re.Pattern[str], path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []
    name = path.relative_to(ROOT)
    return [f"{name}:{number}: {line.strip()}" for number, line in enumerate(lines, 1) if pattern.search(line)]
