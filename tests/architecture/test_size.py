"""Files and functions stay small enough to read at once."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT, sources

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
GENERATED = {"_transitions.py"}

WRITTEN = [path for path in sources() if path.name not in GENERATED]
FILES = pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))

Function = ast.FunctionDef | ast.AsyncFunctionDef


@FILES
def test_a_file_is_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES or _only_lists_names(path, text)


def _only_lists_names(path: Path, text: str) -> bool:
    """Whether a file says what a package has, and does nothing: another test compares it, and nobody reads it whole."""
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    return path.name == "__init__.py" and not any(isinstance(node, definitions) for node in ast.walk(ast.parse(text)))


@FILES
def test_functions_are_short(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lengths = {f"{function.name}:{function.lineno}": _length(function) for function in _functions(tree)}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _length(function: Function) -> int:
    """Count the lines from `def` to the last one, without the docstring."""
    assert function.end_lineno is not None
    total = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function, clean=False) is None:
        return total
    docstring = function.body[0]
    assert docstring.end_lineno is not None
    return total - (docstring.end_lineno - docstring.lineno + 1)
