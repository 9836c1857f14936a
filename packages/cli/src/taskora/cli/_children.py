"""Worker processes that do not outlive the process that started them."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Final, Self


class Lifeline:
    """A pipe whose end tells children that their parent is gone, however it ended.

    Only the parent holds the end for writing; the system closes it with the parent.
    """

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._writer)
        os.close(self.reader)


def hold_on_to(lifeline: int) -> None:
    """Makes this process shut down, as if it were told to, when the other end of the lifeline closes."""

    def wait() -> None:
        while os.read(lifeline, 1):
            continue
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="taskora-lifeline", daemon=True).start()


async def start_worker(
    target: str,
    lifeline: Lifeline,
    *,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    stderr: IO[bytes] | None = None,
) -> asyncio.subprocess.Process:
    """Starts `taskora worker` in a process of its own.

    It gets a session of its own, so that a Ctrl-C at the terminal reaches the parent only, which passes it on.
    """
    command = [sys.executable, "-m", "taskora.cli", "worker", target, "--lifeline", str(lifeline.reader), *options]
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.DEVNULL,
        stderr=stderr,
        pass_fds=(lifeline.reader,),
        start_new_session=True,
        env=None if environment is None else {**os.environ, **environment},
    )


OWN_SIGNALS: Final = frozenset({-signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGINT})
"""How a process ends that was told to before it could listen."""


def describe_end(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
