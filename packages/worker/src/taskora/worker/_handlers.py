"""Handlers: the shapes they may have, and how each is called."""

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from taskora.contracts import UsageError
from taskora.worker._context import Context
from taskora.worker._process_messages import check_importable

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output

AsyncHandler: TypeAlias = Callable[[I], Coroutine[Any, Any, O]] | Callable[[I, Context], Coroutine[Any, Any, O]]
SyncHandler: TypeAlias = Callable[[I], O] | Callable[[I, Context], O]
Handler: TypeAlias = AsyncHandler[I, O] | SyncHandler[I, O]

CallNext: TypeAlias = Callable[[], Awaitable[object]]
Middleware: TypeAlias = Callable[[Context, CallNext], Awaitable[object]]
OnCancel: TypeAlias = Callable[[I, Context], Awaitable[object]] | Callable[[I, Context], object]
Invoker: TypeAlias = Callable[[Context], Awaitable[object]]

ExecutorChoice: TypeAlias = Literal["auto", "async", "thread", "process"]
ExecutorKind: TypeAlias = Literal["async", "thread", "process"]


def choose_executor(handler: Callable[..., Any], choice: ExecutorChoice, *, task: str) -> ExecutorKind:
    """Where a handler runs: coroutines in the event loop, plain functions in a thread unless a process is asked for.

    Raises:
        UsageError: the handler cannot run there.
    """
    if choice not in get_args(ExecutorChoice):
        raise UsageError.for_field("executor", choice, "one of auto, async, thread, process")
    if not callable(handler):
        raise UsageError.for_field(f"handler of task {task!r}", handler, "a function")
    is_async = is_coroutine_function(handler)
    if choice == "auto":
        return "async" if is_async else "thread"
    if is_async != (choice == "async"):
        kind = "an `async def`" if choice == "async" else "a plain `def`"
        raise UsageError(f"handler of task {task!r} must be {kind} function to run with executor={choice!r}")
    if choice == "process":
        check_importable(handler, task=task)
    return choice


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine; sees through partials and objects that can be called."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def wants_context(handler: Callable[..., Any], *, task: str) -> bool:
    """Whether a handler takes the context after the data.

    Raises:
        UsageError: it takes neither one nor two positional arguments.
    """
    signature = signature_of(handler, task=task)
    parameters = signature.parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    keyword_only = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if keyword_only or len(required) > 2 or (not positional and not takes_any):
        raise UsageError(f"handler of task {task!r} must take (data) or (data, ctx), got {signature}")
    return len(required) == 2 or (len(positional) >= 2 and positional[1].name in ("ctx", "context"))


def check_takes_batches(handler: Callable[..., Any], item: object, *, task: str) -> None:
    """Refuses a handler of one item: this one's task collects, and its annotation tells.

    Type checkers refuse most of them; given as the second argument of `implement`, they cannot.

    Raises:
        UsageError: its first parameter has the type of one item.
    """
    name = next(iter(signature_of(handler, task=task).parameters), "")
    try:
        taken: object = get_type_hints(handler).get(name)
    except Exception:  # noqa: BLE001 - annotations may name what does not exist at run time; they are only a hint
        return
    if taken == item and not _may_be_list(taken):
        rule = f"a function that takes a list of {taken!r}, since the task collects"
        raise UsageError.for_field(f"handler of task {task!r}", handler, rule)


def _may_be_list(annotation: object) -> bool:
    kind: object = get_origin(annotation) or annotation
    try:
        return isinstance(kind, type) and issubclass(list, kind)
    except TypeError:  # a protocol that cannot be asked
        return True


def signature_of(handler: Callable[..., Any], *, task: str) -> inspect.Signature:
    """What a handler takes. Its annotations may name what only type checkers know.

    Raises:
        UsageError: it does not say, as some functions that are written in C.
    """
    try:
        if sys.version_info >= (3, 14):  # they are evaluated when somebody asks
            from annotationlib import Format

            return inspect.signature(handler, annotation_format=Format.FORWARDREF)
        return inspect.signature(handler)
    except (ValueError, TypeError) as error:
        raise UsageError(f"handler of task {task!r} must be a function with a signature: {error}") from error
