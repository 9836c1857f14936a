"""Whether a worker handles what producers send."""

import difflib
from collections.abc import Iterator
from typing import Any

from taskora.contracts import TaskContract, UsageError, is_contract
from taskora.testing._fits import misfits
from taskora.worker import Implementation, Worker


def assert_handles(worker: Worker, contract: TaskContract[Any, Any]) -> None:
    """Checks that a worker can run the jobs of a contract, as producers that use this contract send them.

    It must implement the task, accept the contract's version, collect if and only if the contract does, and its types
    must fit those of the contract, as far as they can be compared.

    Raises:
        AssertionError: it cannot; the message says all that does not fit, and what is implemented.
    """
    if not is_contract(contract):
        raise UsageError.for_field("contract", contract, "a TaskContract, made by define_task or static_contract")
    implementation = worker.implementations.get(contract.name)
    if implementation is None:
        raise AssertionError(_not_implemented(contract.name, list(worker.implementations)))
    problems = list(_problems(contract, implementation))
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise AssertionError(f"the worker implements task {contract.name!r}, but not as the contract says:{lines}")


def _not_implemented(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    listed = "".join(f"\n  - {task}" for task in known) or "\n  nothing: is the module imported that implements it?"
    return f"the worker does not implement task {name!r}{hint}; it implements:{listed}"


def _problems(contract: TaskContract[Any, Any], implementation: Implementation[Any, Any]) -> Iterator[str]:
    ours = implementation.contract
    if contract.version > implementation.version:
        yield (
            f"jobs have version {contract.version}, the worker understands up to {implementation.version}: "
            "they would be left for a newer worker"
        )
    if contract.version < implementation.since:
        yield f"jobs have version {contract.version}, the worker accepts none below {implementation.since}"
    if (contract.collect is None) != (ours.collect is None):
        collects, other = ("worker", "contract") if contract.collect is None else ("contract", "worker")
        yield f"the {collects} collects, the {other} does not: give collect=Collect(...) to both"
    if not _migrates(contract, implementation):
        yield from misfits(contract.input, ours.input, "input")
    yield from misfits(ours.output, contract.output, "output")


def _migrates(contract: TaskContract[Any, Any], implementation: Implementation[Any, Any]) -> bool:
    """Whether inputs are changed on their way to the handler, so that only payloads can tell whether they fit."""
    return any(start >= contract.version for start in implementation.migrations)
