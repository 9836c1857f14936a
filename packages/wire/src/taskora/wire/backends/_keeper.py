"""A child process that never outlives this one."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

# The shell watches a pipe whose other end only this process holds. When this process ends, however it ends, the pipe
# closes; the watcher then ends the program, and the shell, which waits for the program, cleans up and ends as well.
# Nothing in it depends on the operating system, and the program does not have to know.
_SCRIPT: Final = """
exec 3<&0
"$@" 3<&- </dev/null >>"$LOG" 2>&1 &
program=$!
{ read -r _ <&3; kill -s "$SIGNAL" "$program"; } &
watcher=$!
wait "$program"
kill "$watcher"
[ -z "$SCRATCH" ] || rm -rf "$SCRATCH"
"""
_PATH: Final = "/usr/bin:/bin"
_PATIENCE: Final = 10.0


class Keeper:
    """Runs a program until `end` is called or this process is gone.

    What the program prints goes to `log`. `scratch` is a directory to delete when the program has ended.
    A forked child inherits the pipe: the program then lives until parent and child are gone, and only the parent
    can end it before.
    """

    def __init__(self, command: Sequence[str], *, log: Path, scratch: Path | None = None, ending: str = "TERM") -> None:
        self._owner = os.getpid()
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "taskora-keeper", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"LOG": str(log), "SCRATCH": str(scratch or ""), "SIGNAL": ending, "PATH": _PATH},
            start_new_session=True,  # an interrupt typed at the terminal is not for the program
        )

    @property
    def has_ended(self) -> bool:
        """Whether the program is gone."""
        return self._shell.poll() is not None

    def end(self) -> None:
        """Ends the program and waits for it; does nothing a second time, or in a forked child."""
        if os.getpid() != self._owner:
            return
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        try:
            self._shell.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._shell.pid, signal.SIGKILL)
            self._shell.wait()
