"""The onion around a handler."""

from collections.abc import Awaitable, Callable, Sequence

from taskora.contracts import UsageError
from taskora.worker._context import Context
from taskora.worker._handlers import Middleware

Core = Callable[[Context], Awaitable[None]]


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
