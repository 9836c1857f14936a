"""Contracts from the annotations of a function."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, cast, get_type_hints

from taskora.contracts import TaskContract, UsageError
from taskora.worker._handlers import OnCancel, signature_of
from taskora.worker._implementation import RunOptions


class InlineOptions(RunOptions, total=False):
    """Options of a task that is declared by its function.

    Keys:
        on_cancel: Called when a job is cancelled while it runs.
    """

    on_cancel: OnCancel[Any] | None


def contract_of(
    name: str, handler: Callable[..., Any], options: InlineOptions
) -> tuple[TaskContract[Any, Any], InlineOptions]:
    """The contract that a function's annotations declare, and the options that are left for running it.

    Retry, stall, time to live and version belong to the contract too, so that producers know of them.

    Raises:
        UsageError: the function takes no data, or an annotation is missing.
    """
    parameters = list(signature_of(handler, task=name).parameters.values())
    hints = _hints(name, handler)
    if not parameters:
        raise UsageError(f"handler of task {name!r} must take (data) or (data, ctx), got ()")
    for wanted in (parameters[0].name, "return"):
        if wanted not in hints:
            raise UsageError(f"handler of task {name!r} must annotate {wanted!r}: the contract is made from it")
    contract: TaskContract[Any, Any] = TaskContract(
        name=name,
        input=_annotation(hints[parameters[0].name]),
        output=_annotation(hints["return"]),
        retry=options.get("retry"),
        stall=options.get("stall"),
        ttl=options.get("ttl"),
        version=options.get("version") or 1,
    )
    return contract, options


def _hints(name: str, handler: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function, of what a partial calls, or of how an object is called."""
    function: Any = handler
    while isinstance(function, functools.partial):
        function = cast("Any", function).func
    if not (inspect.isroutine(function) or inspect.isclass(function)):
        function = type(function).__call__
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:
        raise UsageError(f"annotations of the handler of task {name!r} cannot be evaluated: {error}") from error


def _annotation(hint: object) -> object:
    return None if hint is type(None) else hint
