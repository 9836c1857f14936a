"""Commands are loaded with the operations that they carry out."""

import importlib
from typing import Any

import pytest

from taskora.wire import _operations
from taskora.wire._command import BUILDERS
from taskora.wire._operation import Operation

OPERATIONS: list[type[Operation[Any]]] = [
    kind
    for name in _operations.__all__
    if isinstance(kind := getattr(_operations, name), type) and issubclass(kind, Operation) and kind is not Operation
]


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.__name__)
def test_every_operation_is_carried_out_by_the_module_that_is_loaded_for_it(kind: type[Operation[Any]]) -> None:
    home = kind.__module__.replace("_operations", "_commands")
    importlib.import_module(home)
    assert BUILDERS[kind].__module__ == home
