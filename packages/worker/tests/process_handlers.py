"""Handlers for processes, in a module of their own that a process can import."""

import contextvars
import functools
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from taskora.contracts import define_task
from taskora.worker import Context, Worker

P = ParamSpec("P")
R = TypeVar("R")

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


class KnownError(Exception):
    """Survives pickling."""


class DemandingError(Exception):
    """Pickles, but cannot be built again: its arguments are not those of its constructor."""

    def __init__(self, *, first: int, second: int) -> None:
        super().__init__(f"{first} and {second} do not fit")


class Unpicklable:
    def __reduce__(self) -> str:
        raise TypeError("it holds a socket")


class Unreadable:
    """Leaves its process, and cannot be built elsewhere."""

    def __reduce__(self) -> tuple[Callable[[int], object], tuple[int]]:
        return build_unreadable, (os.getpid(),)


def build_unreadable(pid: int) -> object:
    if os.getpid() != pid:
        raise ValueError("made elsewhere")
    return Unreadable()


class Outer:
    """Holds a handler."""

    @staticmethod
    def double(data: int) -> int:
        return data * 2

    def method(self, data: int) -> int:
        return data


def play(data: tuple[Callable[..., object], object], ctx: Context) -> object:
    """Calls one of the handlers below."""
    handler, argument = data
    return handler(argument, ctx) if len(inspect.signature(handler).parameters) == 2 else handler(argument)


def perform(data: dict[str, Any], ctx: Context) -> object:
    """Like `play`, for data that went through a queue."""
    return play((globals()[data["handler"]], data["data"]), ctx)


def double(data: int) -> int:
    return data * 2


def pid(_: object) -> int:
    return os.getpid()


def echo(data: object) -> object:
    return data


def length(data: bytes) -> int:
    return len(data)


def blob(size: int) -> bytes:
    return b"x" * size


def variable(_: object) -> str:
    return VARIABLE.get()


def report_much(count: int, ctx: Context) -> int:
    for number in range(count):
        ctx.progress(number)
        ctx.log.info("step", number=number)
    ctx.heartbeat()
    return count


def describe_context(_: object, ctx: Context) -> dict[str, object]:
    ctx.raise_if_cancelled()
    return {
        "id": ctx.id,
        "task": ctx.task,
        "attempt": ctx.attempt,
        "max_attempts": ctx.max_attempts,
        "timestamp": ctx.timestamp,
        "deadline": ctx.deadline,
        "data": ctx.data,
        "cancelled": ctx.cancelled.is_set(),
    }


def report_from_a_late_thread(data: str, ctx: Context) -> str:
    """Leaves a thread behind that reports when the file `data` appears, then makes the file `data`.done."""

    def report() -> None:
        while not Path(data).exists():
            time.sleep(0.005)
        ctx.progress("too late")
        Path(f"{data}.done").touch()

    threading.Thread(target=report, daemon=True).start()
    return data


def hang(path: str) -> None:
    """Writes its process id to a file, then never returns."""
    announce(path)
    while True:
        signal.pause()


def hang_with_a_program(path: str) -> None:
    """Like `hang`, in a program that the handler started."""
    program = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    announce(path, f"{os.getpid()} {program.pid}")
    program.wait()


def announce(path: str, text: str | None = None) -> None:
    """Writes a file in one step."""
    Path(f"{path}.new").write_text(text or str(os.getpid()))
    Path(f"{path}.new").replace(path)


def raise_known(message: str) -> None:
    try:
        raise ValueError("the cause of it")
    except ValueError as error:
        raise KnownError(message) from error


def raise_demanding(_: object) -> None:
    raise DemandingError(first=1, second=2)


def raise_unpicklable(_: object) -> None:
    error = KnownError("it holds a lock")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    raise error


def raise_interrupt(_: object) -> None:
    raise KeyboardInterrupt("pressed")


def raise_retry(delay: float, ctx: Context) -> None:
    raise ctx.retry(delay=delay, reason="busy")


def exit_with(code: int) -> None:
    sys.exit(code)


def exit_hard(code: int) -> None:
    os._exit(code)


def kill_itself(number: int) -> None:
    os.kill(os.getpid(), number)


def return_unpicklable(_: object) -> object:
    return {"inside": Unpicklable()}


def return_unreadable(_: object) -> object:
    return Unreadable()


def interrupt_itself(_: object) -> str:
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"


def leave_child_and_die(path: str) -> None:
    """Dies while a process that it forked holds its pipe open."""
    child = os.fork()
    if child == 0:
        announce(path)
        signal.pause()
    while not Path(path).exists():
        time.sleep(0.005)
    os._exit(3)


def ignore_sigterm(_: object) -> int:
    """Leaves a process that does not end when asked: a thread keeps it from ending, and SIGTERM is ignored."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=threading.Event().wait).start()
    return os.getpid()


def logged(function: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    return wrapper


worker = Worker("memory://process-handlers")


@worker.task("inline", executor="process")
def inline(data: int) -> int:
    return data + 2


registered: list[Callable[..., Any]] = []


def register(function: Callable[P, R]) -> Callable[P, R]:
    """A decorator that keeps the function, like `worker.implement` does."""
    registered.append(function)
    return function


@logged
@register
def decorated_after(data: int) -> int:
    return data + 1


def spawn_one(data: int, ctx: Context) -> int:
    """Adds a step to its workflow."""
    ctx.spawn(define_task("double", input=int, output=int).s(data))
    return data
