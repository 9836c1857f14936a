"""All commands, by the operation that they carry out."""

from importlib import import_module
from typing import Any, Final, TypeVar

from taskora.contracts import JobState
from taskora.wire import _dispatch_commands, _manage_commands
from taskora.wire._command import BUILDERS, Builder, Command
from taskora.wire._keys import Keyspace
from taskora.wire._operations import FinalState, Operation

R = TypeVar("R", covariant=True)

# What every producer needs, to be let in and to dispatch; the others are loaded when they are first needed.
AT_ONCE: Final = (_dispatch_commands, _manage_commands)


def command_for(operation: Operation[R], keyspace: Keyspace, now_ms: int | None) -> Command[R]:
    """The command that carries out an operation; `now_ms` of None leaves the time to the server."""
    kind = type(operation)
    builder = BUILDERS.get(kind) or _load_builder(kind)
    return builder(operation, keyspace, now_ms)


def _load_builder(kind: type[Operation[Any]]) -> Builder[Any]:
    """What `_x_operations` declares is registered by `_x_commands`, when that is imported."""
    import_module(kind.__module__.replace("_operations", "_commands"))
    return BUILDERS[kind]


FINAL_STATES: Final[tuple[FinalState, ...]] = (
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.EXPIRED,
)
