"""Random histories on memory and on a real server at once: every reply and every stored key must be the same.

A history that fails is shrunk and printed as a program, which `python -m tests.properties.replay` runs as it stands.
How many are tried, and how to try more, is told in `budget`.
"""

import inspect
from functools import partial
from typing import Any, Final, cast

import pytest
from hypothesis.stateful import run_state_machine_as_test

from taskora.wire import Operation, _operations
from tests.properties.budget import budget, chosen
from tests.properties.dispatching import Dispatching
from tests.properties.looking import Looking, TimePassing
from tests.properties.managing import Managing
from tests.properties.running import Running
from tests.properties.scheduling import Scheduling
from tests.properties.workflows import Workflowing
from tests.servers import Server

OPERATIONS: set[type[Operation[Any]]] = {
    found
    for name in _operations.__all__
    if inspect.isclass(found := getattr(_operations, name)) and issubclass(found, Operation) and found is not Operation
}
_MOST_ROUNDS: Final = 5


class BackendsAgree(Dispatching, Running, Managing, Scheduling, Workflowing, Looking, TimePassing):
    """All that may happen to two tasks, several workers and a clock."""


@pytest.mark.timeout(7200)
def test_memory_and_server_agree_on_random_histories(server: Server) -> None:
    BackendsAgree.used.clear()
    machine = cast("type[BackendsAgree]", partial(BackendsAgree, server))  # any maker of machines will do
    for more in range(_MOST_ROUNDS):
        # Which operations a few histories happen to contain is luck: more of them, until each one was tried.
        run_state_machine_as_test(chosen(machine, server.kind + more * " again"), settings=budget())
        if BackendsAgree.used >= OPERATIONS:
            return
    never = sorted(operation.__name__ for operation in OPERATIONS - BackendsAgree.used)
    pytest.fail(f"no rule of the machine uses {never}: add one, see tests/properties/pair.py")
