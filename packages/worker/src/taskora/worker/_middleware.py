"""The onion around a handler."""

from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from taskora.contracts import UsageError
from taskora.worker._context import Context
from taskora.worker._handlers import Middleware

Core = Callable[[Context], Awaitable[None]]


def check_middleware(middleware: object) -> tuple[Middleware, ...]:
    """The middleware of a list or tuple, each of which can be called; `UsageError` otherwise."""
    if not isinstance(middleware, list | tuple):
        raise UsageError.for_field("middleware", middleware, "a list of async functions (ctx, call_next)")
    for layer in cast("Sequence[object]", middleware):
        if not callable(layer):
            raise UsageError.for_field("middleware", layer, "an async function (ctx, call_next)")
    return tuple(cast("Sequence[Middleware]", middleware))


def compose(middleware: Sequence[Middleware], core: Core) -> Core:
    """Wraps `core`, which calls the handler; the first middleware is outermost. Without any it is `core` itself."""
    chain = core
    for layer in reversed(middleware):
        chain = _wrap(layer, chain)
    return chain


def _wrap(layer: Middleware, inner: Core) -> Core:
    async def wrapped(ctx: Context) -> None:
        called = False

        async def call_next() -> object:
            nonlocal called
            if called:
                raise UsageError("a middleware must call call_next at most once per attempt")
            called = True
            await inner(ctx)
            return ctx.result

        await layer(ctx, call_next)

    return wrapped
