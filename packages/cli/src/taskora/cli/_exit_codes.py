"""What scripts learn from the end of a command."""

from enum import IntEnum
from typing import Final, TypeAlias

from taskora.contracts import (
    BackendError,
    ContractError,
    ExpiredError,
    JobCancelledError,
    JobFailedError,
    JobTimeoutError,
    TaskoraError,
    UnknownJobError,
    UsageError,
    ValidationError,
    WireVersionError,
)

ErrorClasses: TypeAlias = tuple[type[TaskoraError], ...]


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    SERVER = 3
    NOT_FOUND = 4
    TIMED_OUT = 5
    INTERNAL = 70
    INTERRUPTED = 130


MEANINGS: Final[dict[ExitCode, str]] = {
    ExitCode.OK: "it worked",
    ExitCode.FAILED: "the job failed, was cancelled, or expired; or a worker process failed",
    ExitCode.USAGE: "the command line, or what it names, breaks a rule",
    ExitCode.SERVER: "the server cannot be reached, or refuses",
    ExitCode.NOT_FOUND: "there is no such job",
    ExitCode.TIMED_OUT: "the wait timed out; the job goes on",
    ExitCode.INTERNAL: "a bug; TASKORA_DEBUG=1 shows the traceback",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}

_BY_ERROR: Final[tuple[tuple[ErrorClasses, ExitCode], ...]] = (
    ((UsageError, ContractError, ValidationError), ExitCode.USAGE),
    ((BackendError, WireVersionError), ExitCode.SERVER),
    ((UnknownJobError,), ExitCode.NOT_FOUND),
    ((JobTimeoutError,), ExitCode.TIMED_OUT),
    ((JobFailedError, JobCancelledError, ExpiredError), ExitCode.FAILED),
)


def exit_code_of(error: BaseException) -> ExitCode:
    """The exit code that an error stands for."""
    for classes, code in _BY_ERROR:
        if isinstance(error, classes):
            return code
    return ExitCode.INTERNAL


def exit_codes_text(*codes: ExitCode) -> str:
    """The exit codes as a text for help pages; all of them if none are named."""
    return "\n".join(["Exit codes:", *(f"{code.value:>4}  {MEANINGS[code]}" for code in codes or ExitCode)])
