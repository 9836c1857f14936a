"""All commands, by the operation that they carry out."""

from typing import Final, TypeVar

from taskora.contracts import JobState
from taskora.wire import (
    _dispatch_commands,
    _manage_commands,
    _read_commands,
    _run_commands,
    _schedule_commands,
    _workflow_commands,
)
from taskora.wire._command import BUILDERS, Command
from taskora.wire._keys import Keyspace
from taskora.wire._operations import FinalState, Operation

R = TypeVar("R", covariant=True)


# Each registers its builders when it is imported.
MODULES: Final = (
    _dispatch_commands,
    _run_commands,
    _manage_commands,
    _read_commands,
    _schedule_commands,
    _workflow_commands,
)


def command_for(operation: Operation[R], keyspace: Keyspace, now_ms: int | None) -> Command[R]:
    """The command that carries out an operation; `now_ms` of None leaves the time to the server."""
    return BUILDERS[type(operation)](operation, keyspace, now_ms)


FINAL_STATES: Final[tuple[FinalState, ...]] = (
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.EXPIRED,
)
