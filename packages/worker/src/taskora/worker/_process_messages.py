"""What crosses the pipe between a worker and a handler's process. Both ends are ours: pickle never meets other data."""

import importlib
import inspect
import pickle
import traceback
from collections.abc import Callable
from functools import reduce
from typing import Any, TypeAlias

from taskora.contracts import UsageError
from taskora.contracts.records import record
from taskora.wire import Claim
from taskora.worker._context import Context, ContextPort, ReportKind


@record
class HandlerReference:
    """Where a process finds a handler: the name to import, and how many `__wrapped__` to follow from there."""

    task: str
    module: str
    qualname: str
    depth: int = 0

    def load(self) -> Callable[..., object]:
        """Imports the handler."""
        found = reduce(getattr, self.qualname.split("."), importlib.import_module(self.module))
        for _ in range(self.depth):
            found = found.__wrapped__
        return found  # type: ignore[return-value]  # the parent has looked


@record(guarded=False)
class ContextState:
    """A context without its ends: what another process needs to build its like."""

    claim: Claim
    task: str
    max_attempts: int
    timeout_ms: int | None
    claimed_ms: int

    @classmethod
    def of(cls, context: Context) -> "ContextState":
        """What `context` knows, except the data."""
        claim = Claim(
            job_id=context.id,
            token="",
            data=b"",
            version=0,
            attempt=context.attempt,
            timestamp_ms=context._dispatched_ms,
            link=context._link,
        )
        return cls(
            claim=claim,
            task=context.task,
            max_attempts=context.max_attempts,
            timeout_ms=context._timeout_ms,
            claimed_ms=context._claimed_ms,
        )

    def rebuilt(self, data: object, port: ContextPort) -> Context:
        """A context that knows the same, and reports through `port`."""
        context = Context(
            self.claim,
            port,
            task=self.task,
            max_attempts=self.max_attempts,
            timeout_ms=self.timeout_ms,
            claimed_ms=self.claimed_ms,
        )
        context.data = data
        return context


@record(guarded=False)
class Call:
    """To the child: run the handler on this. `context` is None for handlers that take data only."""

    data: bytes
    context: ContextState | None


@record(kw_only=False)
class Ready:
    """To the parent: the handler is imported."""


@record(kw_only=False, guarded=False)
class Begun:
    """To the parent: the call has arrived, and its handler runs from now on."""


@record
class Reported:
    """To the parent: progress, a log entry, or what was spawned."""

    kind: ReportKind
    payload: bytes


@record(kw_only=False)
class Heartbeat:
    """To the parent: renew the lease."""


@record(guarded=False)
class Returned:
    """To the parent: the handler's result. Ends a call."""

    payload: bytes
    type_name: str


@record(guarded=False)
class Raised:
    """To the parent: the handler's error. Ends a call, or the start of a child. `payload` is None if it has none."""

    type_name: str
    message: str
    traceback: str
    payload: bytes | None


Message: TypeAlias = Ready | Begun | Reported | Heartbeat | Returned | Raised


def check_importable(handler: Callable[..., Any], *, task: str) -> None:
    """Refuses what no other process could import, as far as that shows before its module has been read to the end.

    Raises:
        UsageError: the handler is not a function at the top level of a module.
    """
    qualname = getattr(handler, "__qualname__", "<")
    if "<" in qualname or inspect.ismethod(handler) or not getattr(handler, "__module__", None):
        raise _not_importable(handler, task)


def reference_to(handler: Callable[..., Any], *, task: str) -> HandlerReference:
    """The name by which other processes find a handler.

    Raises:
        UsageError: its module does not hold it under its name.
    """
    check_importable(handler, task=task)
    module, qualname = handler.__module__, handler.__qualname__
    try:
        found: Any = HandlerReference(task=task, module=module, qualname=qualname).load()
    except (ImportError, AttributeError):
        raise _not_importable(handler, task) from None
    depth = 0
    while found is not handler:
        if not hasattr(found, "__wrapped__"):
            raise _not_importable(handler, task)
        found, depth = found.__wrapped__, depth + 1
    return HandlerReference(task=task, module=module, qualname=qualname, depth=depth)


def _not_importable(handler: Callable[..., Any], task: str) -> UsageError:
    name = f"{getattr(handler, '__module__', None)}.{getattr(handler, '__qualname__', type(handler).__qualname__)}"
    return UsageError(
        f"handler of task {task!r} must be a function at the top level of a module to run with executor='process', "
        f"as its process imports it by name; {name} cannot be imported"
    )


def describe(error: BaseException) -> Raised:
    """An error as it leaves its process."""
    frames = error.__traceback__
    lines = traceback.format_exception(type(error), error, frames.tb_next if frames is not None else None)
    # Whatever is no Exception would stop more than the job that raised it.
    payload = _pickled(error) if isinstance(error, Exception) else None
    return Raised(
        type_name=type(error).__qualname__,
        message=_text(error),
        traceback="".join(lines).rstrip(),
        payload=payload,
    )


def _pickled(error: Exception) -> bytes | None:
    try:
        return pickle.dumps(error)
    except Exception:  # noqa: BLE001 - pickle runs code of the error's class
        return None


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - as above
        return ""


def restore(raised: Raised) -> Exception:
    """An error as it was raised in another process, or what is left of it, with that process's traceback as a note."""
    error = _unpickled(raised)
    if error is None:
        error = RuntimeError(f"{raised.type_name}: {raised.message}" if raised.message else raised.type_name)
    error.add_note(f"In the process that ran the job:\n{raised.traceback}")
    return error


def _unpickled(raised: Raised) -> Exception | None:
    if raised.payload is None:
        return None
    try:
        # Written by our own child, never taken from the server.
        error = pickle.loads(raised.payload)  # noqa: S301
    except Exception:  # noqa: BLE001 - many errors cannot be built from their arguments again
        return None
    return error if isinstance(error, Exception) else None
