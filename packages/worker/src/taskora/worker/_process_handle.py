"""One child process, as the worker sees it. Everything here but `kill` blocks, and belongs into a thread."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Generator
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, Any, Final

from taskora.contracts.records import record
from taskora.worker._context import ContextPort
from taskora.worker._process_child import serve
from taskora.worker._process_messages import (
    Begun,
    Call,
    HandlerReference,
    Heartbeat,
    Message,
    Raised,
    Ready,
    Reported,
    Returned,
    restore,
)

if TYPE_CHECKING:
    Pipe = connection.Connection[Any, Any]

# A worker has threads, and a fork copies their locks in whatever state they are.
_SPAWN: Final = multiprocessing.get_context("spawn")
# What a handler starts may hold the pipe open after its process has died; then only looking tells.
_LOOK_SECONDS: Final = 1.0
_LEAVE_SECONDS: Final = 2.0
_TERMINATE_SECONDS: Final = 1.0
_KILL_SECONDS: Final = 2.0


@record
class Answer:
    """How a call ended: with a value, or with an error. `began` is false if its handler certainly never ran."""

    value: object = None
    error: Exception | None = None
    began: bool = True


class ProcessHandle:
    """Starts a child, talks to it, ends it.

    Attributes:
        ended: Whether the process is gone, or never came.
    """

    def __init__(self, reference: HandlerReference) -> None:
        self.ended = False
        self._reference: Final = reference
        self._process: SpawnProcess | None = None
        self._pipe: Pipe | None = None
        self._doomed = False
        # Held by whoever talks to the process, or ends it.
        self._lock: Final = threading.Lock()

    def is_alive(self) -> bool:
        """Whether the process can take a call, as far as one can tell without asking it."""
        return not (self._doomed or self.ended) and self._process is not None and self._process.is_alive()

    def start(self) -> None:
        """Starts the process and waits until it has imported the handler.

        Raises:
            Exception: whatever the import raised.
            RuntimeError: the process ended while it started, or was killed.
            OSError: there is no room for another process.
        """
        with self._lock:
            try:
                self._pipe, self._process = self._launch()
                if self._doomed:
                    _kill(self._process)
                message = self._receive()
            except BaseException:
                self._end()
                raise
            if isinstance(message, Ready):
                return
            code = self._end()
        if isinstance(message, Raised):
            raise restore(message)
        raise RuntimeError(
            f"the process for handlers of task {self._reference.task!r} ended with {_told(code)} while it started; "
            "a script that starts a worker must do so under `if __name__ == '__main__':`"
        )

    def _launch(self) -> "tuple[Pipe, SpawnProcess]":
        if self._doomed or self.ended:
            raise RuntimeError("the process for the job was ended before it started")
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=serve, args=(theirs, self._reference), name=f"taskora-{self._reference.task}")
        # Not a daemon, since those may not have children; the pool sees to it that none is left at exit.
        process.daemon = False
        with theirs:
            try:
                with _interrupts_blocked():
                    process.start()
            except BaseException:
                ours.close()
                raise
        return ours, process

    def run(self, call: Call, port: ContextPort) -> Answer:
        """Runs the handler on one job, and passes on what it reports."""
        with self._lock:
            if self.ended or self._pipe is None:
                return Answer(error=RuntimeError("the process for the job was ended before it began"), began=False)
            try:
                began = self._begin(self._pipe, call)
                answer = self._converse(port) if began else None
            except BaseException:
                self.kill()
                self._end()
                raise
            if answer is None:
                told = f"the process that ran the job ended with {_told(self._end())}"
                return Answer(error=RuntimeError(told), began=began)
        return _opened(answer)

    def _begin(self, pipe: "Pipe", call: Call) -> bool:
        """Sends the call; false if the process was gone before it could run anything."""
        try:
            pipe.send(call)
        except OSError:
            return False
        return isinstance(self._receive(), Begun)

    def _converse(self, port: ContextPort) -> Returned | Raised | None:
        while True:
            match self._receive():
                case Reported(kind=kind, payload=payload):
                    port.report(kind, payload)
                case Heartbeat():
                    port.heartbeat()
                case Returned() | Raised() as answer:
                    return answer
                case _:
                    return None

    def _receive(self) -> Message | None:
        """The next message; None when there is none to come."""
        if self._pipe is None or self._process is None:
            return None
        while not connection.wait([self._pipe, self._process.sentinel], _LOOK_SECONDS):
            if not self._process.is_alive():
                break
        try:
            # What a process said before it died is still to be read.
            message: Message | None = self._pipe.recv() if self._pipe.poll() else None
        except (EOFError, OSError):
            return None
        return message

    def kill(self) -> None:
        """Kills the process and what it started, at once, from any thread. `end` has to follow."""
        self._doomed = True
        process = self._process
        if process is not None and not self.ended:
            with contextlib.suppress(ValueError):  # ended by another thread in between
                _kill(process)

    def end(self) -> None:
        """Lets the process end, or makes it, and takes it off the system's table."""
        with self._lock:
            self._end()

    def _end(self) -> int | None:
        """Asks by the end of the pipe, then by SIGTERM, then not any more. Returns the exit code."""
        process, self._process = self._process, None
        if self._pipe is not None:
            self._pipe.close()
        self.ended = True
        if process is None:
            return None
        process.join(_LEAVE_SECONDS)
        if process.is_alive():
            process.terminate()
            process.join(_TERMINATE_SECONDS)
        if process.is_alive():
            _kill(process)
            process.join(_KILL_SECONDS)
        return _reaped(process)


def _reaped(process: SpawnProcess) -> int | None:
    """The exit code, once. Another thread may have seen it first, and be about to write it down."""
    give_up_at = time.monotonic() + _KILL_SECONDS
    while process.exitcode is None and time.monotonic() < give_up_at:
        time.sleep(0.001)
    code = process.exitcode
    if code is not None:
        process.close()
    return code


def _kill(process: SpawnProcess) -> None:
    if process.pid is not None and process.is_alive() and hasattr(os, "killpg"):
        # The group exists once the child has made it; before that there is only the child.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _told(code: int | None) -> str:
    if code is None:
        return "an unknown exit code"
    try:
        return f"exit code {code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
    except ValueError:
        return f"exit code {code}"


def _opened(answer: Returned | Raised) -> Answer:
    if isinstance(answer, Raised):
        return Answer(error=restore(answer))
    try:
        # Written by our own child, never taken from the server.
        return Answer(value=pickle.loads(answer.payload))  # noqa: S301
    except Exception as error:  # noqa: BLE001 - pickle runs code of the result's class
        message = f"the handler returned a {answer.type_name}, which cannot be read outside its process: {error}"
        return Answer(error=TypeError(message))


@contextlib.contextmanager
def _interrupts_blocked() -> Generator[None]:
    """A child inherits the mask: Ctrl-C cannot hit it before it has said that it ignores it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # would be started otherwise, and unblock what is blocked here
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
