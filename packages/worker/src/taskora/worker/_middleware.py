"""The onion around a handler."""

from collections.abc import Sequence
from typing import cast

from taskora.contracts import UsageError
from taskora.worker._context import Context
from taskora.worker._handlers import Invoker, Middleware


def check_middleware(middleware: object) -> tuple[Middleware, ...]:
    """The middleware of a list or tuple, each of which can be called; `UsageError` otherwise."""
    if not isinstance(middleware, list | tuple):
        raise UsageError.for_field("middleware", middleware, "a list of async functions (ctx, call_next)")
    for layer in cast("Sequence[object]", middleware):
        if not callable(layer):
            raise UsageError.for_field("middleware", layer, "an async function (ctx, call_next)")
    return tuple(cast("Sequence[Middleware]", middleware))


def compose(middleware: Sequence[Middleware], invoke: Invoker) -> Invoker:
    """Wraps the call of a handler; the first middleware is outermost. Gives what is to be stored: `ctx.result`."""

    async def handled(ctx: Context) -> object:
        ctx.result = await invoke(ctx)
        return ctx.result

    chain: Invoker = handled
    for layer in reversed(middleware):
        chain = _wrap(layer, chain)
    return chain


def _wrap(layer: Middleware, inner: Invoker) -> Invoker:
    async def wrapped(ctx: Context) -> object:
        called = False

        async def call_next() -> object:
            nonlocal called
            if called:
                raise UsageError("a middleware must call call_next at most once per attempt")
            called = True
            return await inner(ctx)

        await layer(ctx, call_next)
        return ctx.result

    return wrapped
