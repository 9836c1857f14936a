"""Names that are loaded on demand: what checkers are told is what Python finds."""

import ast
import importlib
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PACKAGES = (
    "taskora.contracts",
    "taskora.producer",
    "taskora.testing",
    "taskora.wire",
    "taskora.wire._operations",
    "taskora.wire.backends",
    "taskora.worker",
)
LAZY = pytest.mark.parametrize("name", PACKAGES)


def told_to_checkers(package: ModuleType) -> dict[str, str]:
    """Where checkers find each name."""
    tree = ast.parse(Path(package.__file__ or "").read_text())
    (told,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    return {
        alias.name: node.module or "" for node in told.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


@LAZY
def test_every_name_is_what_checkers_take_it_for(name: str) -> None:
    package = importlib.import_module(name)
    told = told_to_checkers(package)
    assert sorted(told) == sorted(package.__all__)
    for public, home in told.items():
        assert getattr(package, public) is getattr(importlib.import_module(home), public)


@LAZY
def test_a_package_lists_its_names_before_they_are_loaded(name: str) -> None:
    program = f"import {name} as package; assert set(package.__all__) <= set(dir(package)); print(len(vars(package)))"
    subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, check=True)


@LAZY
def test_a_star_brings_all_names(name: str) -> None:
    found: dict[str, Any] = {}
    exec(f"from {name} import *", found)
    assert set(importlib.import_module(name).__all__) <= found.keys()


@LAZY
def test_a_name_that_does_not_exist_is_missed_as_in_any_module(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"module '{name}' has no attribute 'Nonsense'"):
        importlib.import_module(name).Nonsense  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        exec(f"from {name} import Nonsense")


def test_who_misspells_a_name_is_told_what_is_like_it() -> None:
    program = "import taskora.producer as package; package.AsyncProducr"
    failed = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert re.search(r"has no attribute 'AsyncProducr'\. Did you mean.{1,3}AsyncProducer'", failed.stderr)


def test_a_name_that_was_asked_for_is_there_from_then_on() -> None:
    program = (
        "import taskora.contracts as package; assert 'Retry' not in vars(package); "
        "package.Retry; assert vars(package)['Retry'] is package.Retry"
    )
    subprocess.run([sys.executable, "-I", "-c", program], check=True)


def test_a_process_that_has_loaded_nothing_reads_what_another_has_pickled() -> None:
    contracts: Any = importlib.import_module("taskora.contracts")
    pickled = pickle.dumps(contracts.Retry(attempts=7))
    program = f"import pickle; assert pickle.loads({pickled!r}).attempts == 7"
    subprocess.run([sys.executable, "-I", "-c", program], check=True)


def test_threads_that_ask_at_the_same_time_get_the_same() -> None:
    program = """
import threading, taskora.producer as package
ready, found = threading.Barrier(8), []
def ask():
    ready.wait()
    found.append(package.AsyncProducer)
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 8 and len(set(found)) == 1
"""
    subprocess.run([sys.executable, "-I", "-c", program], check=True)
