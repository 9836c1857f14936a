"""How commands of an asyncio backend travel: over one shared connection, or over a pool."""

import importlib.util
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, get_args

from taskora.contracts import UsageError
from taskora.wire.backends._connection import AsyncConnection
from taskora.wire.backends._requests import Request

if TYPE_CHECKING:
    from taskora.wire.backends._async_connections import AsyncConnections

Transport: TypeAlias = Literal["auto", "fast", "redis-py"]
Ask: TypeAlias = Callable[[Request], Awaitable[Any]]
# A connection for one user, who may block it: what sends one command over it and returns the reply.
Lend: TypeAlias = Callable[[], AbstractAsyncContextManager[Ask]]

_CHOICES: Final = get_args(Transport)


class Commands(Protocol):
    """What carries commands that answer at once."""

    def request(self, request: Request) -> Awaitable[Any]:
        """One command and its reply."""
        ...

    async def close(self) -> None:
        """Ends everything that is under way."""
        ...


class NodeCommands(Commands, Protocol):
    """What carries commands to one server of several."""

    def leave(self) -> None:
        """Nobody needs the server any more: lets end what is under way, and keeps no connection from now on."""
        ...


class Connections(Commands, Protocol):
    """What also carries commands that block, and lends connections."""

    async def blocking_request(self, request: Request) -> Any:
        """One command that may block."""
        ...

    async def acquire(self) -> AsyncConnection:
        """A connected connection, to be given back by `release`."""
        ...

    async def release(self, connection: AsyncConnection, *, clean: bool) -> None:
        """Takes a connection back; one that is not clean is closed."""
        ...


def take_transport(options: dict[str, Any], argument: str = "auto") -> Transport:
    """What the argument or else the URL says; takes it out of the URL's options.

    Raises:
        UsageError: there is no such transport.
    """
    in_url = options.pop("transport", "auto")
    for name, value in (("transport", argument), ("url option transport", in_url)):
        if value not in _CHOICES:
            raise UsageError.for_field(name, value, "one of " + ", ".join(_CHOICES))
    chosen: Transport = in_url if argument == "auto" else argument  # type: ignore[assignment]  # checked above
    return chosen


def is_fast(transport: Transport, *, borrowed: bool) -> bool:
    """Whether to share one connection. By itself that is for servers that a URL names, where hiredis is installed.

    Raises:
        UsageError: it was asked for, and hiredis is missing.
    """
    has_hiredis = importlib.util.find_spec("hiredis") is not None
    if transport == "fast" and not has_hiredis:
        raise UsageError('transport "fast" needs hiredis: pip install hiredis')
    return transport == "fast" or (transport == "auto" and has_hiredis and not borrowed)


def open_lines(make: Callable[[], AsyncConnection], *, fast: bool) -> tuple["AsyncConnections", NodeCommands]:
    """What carries the commands that block, and lends connections; and what carries all others."""
    if not fast:
        from taskora.wire.backends._async_connections import AsyncConnections

        pool = AsyncConnections(make)
        return pool, pool
    from taskora.wire.backends._lines import Lines
    from taskora.wire.backends._multiplexer import Multiplexer

    commands = Multiplexer(make)
    return Lines(make, commands), commands
