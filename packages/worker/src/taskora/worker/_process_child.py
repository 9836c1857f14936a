"""What runs in a handler's process: takes calls from the pipe, one at a time, and answers each."""

import contextlib
import os
import pickle
import signal
import threading
from collections.abc import Callable
from multiprocessing import connection, parent_process
from typing import TYPE_CHECKING, Any

from taskora.worker._context import ReportKind
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
    describe,
)

if TYPE_CHECKING:
    Pipe = connection.Connection[Any, Any]


def serve(pipe: "Pipe", reference: HandlerReference) -> None:
    """Answers calls until the parent closes the pipe."""
    _leave_signals_to_the_parent()
    threading.Thread(target=_die_with_the_parent, name="taskora-parent-watch", daemon=True).start()
    # The parent may be gone at any time, and then nobody wants an answer.
    with contextlib.suppress(EOFError, OSError):
        try:
            handler = reference.load()
        except Exception as error:  # noqa: BLE001 - a module that cannot be imported may raise anything
            pipe.send(describe(error))
            return
        pipe.send(Ready())
        while True:
            call = pipe.recv()
            pipe.send(Begun())
            pipe.send(_answer(handler, call, PipePort(pipe)))


def _leave_signals_to_the_parent() -> None:
    """Ctrl-C reaches every process of a terminal; only the worker decides what it means.

    A group of its own, where there are groups, holds the process and what the handler starts, so that all of it can be
    killed together.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)


def _die_with_the_parent() -> None:
    """A job must not go on when the worker that holds its lease is gone: another one will run it."""
    parent = parent_process()
    if parent is None:
        return
    connection.wait([parent.sentinel])
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _answer(handler: Callable[..., object], call: Call, port: "PipePort") -> Returned | Raised:
    """Runs a handler. `SystemExit` is let through: it ends the process, as the handler wished."""
    try:
        # Written by our own parent, never taken from the server.
        data = pickle.loads(call.data)  # noqa: S301
        arguments = (data,) if call.context is None else (data, call.context.rebuilt(data, port))
        result = handler(*arguments)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - it is the parent's to judge
        return describe(error)
    finally:
        port.close()
    return _packed(result)


def _packed(result: object) -> Returned | Raised:
    name = f"{type(result).__module__}.{type(result).__qualname__}"
    try:
        return Returned(payload=pickle.dumps(result, pickle.HIGHEST_PROTOCOL), type_name=name)
    except Exception as error:  # noqa: BLE001 - pickle runs code of the result's class
        return describe(TypeError(f"the handler returned a {name}, which cannot leave its process: {error}"))


class PipePort:
    """The reporting end of a context in a child. Says nothing any more once its call is answered."""

    def __init__(self, pipe: "Pipe") -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._open = True

    def report(self, kind: ReportKind, payload: bytes) -> None:
        """Sends progress, or a log entry."""
        self._send(Reported(kind=kind, payload=payload))

    def heartbeat(self) -> None:
        """Asks for the lease to be renewed."""
        self._send(Heartbeat())

    def _send(self, message: Message) -> None:
        with self._lock:
            if self._open:
                self._pipe.send(message)

    def close(self) -> None:
        """Drops what threads that outlive their call still report."""
        with self._lock:
            self._open = False
