"""What the backends need of a connection to one server."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from taskora.wire._call import Arg

if TYPE_CHECKING:
    import asyncio


class AsyncConnection(Protocol):
    """A connection for asyncio. Replies are bytes; errors are those of `_redis_errors`, or of the operating system."""

    @property
    def connect_seconds(self) -> float:
        """How long connecting may take."""
        ...

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as anybody knows."""
        ...

    @property
    def transport(self) -> "asyncio.Transport":
        """What it is connected by, for who takes it over."""
        ...

    async def connect(self) -> None:
        """Connects, and introduces us to the server."""
        ...

    async def send(self, args: Sequence[Arg]) -> None:
        """Sends one command."""
        ...

    async def read(self, *, pushed: bool = False) -> Any:
        """The next reply; `pushed` where RESP 3 has a message instead. Raises an error that the server answers with."""
        ...

    def abort(self) -> None:
        """Ends it at once."""
        ...

    async def close(self) -> None:
        """Ends it, and waits until it has ended."""
        ...


class SyncConnection(Protocol):
    """The same for threads."""

    def connect(self) -> None:
        """Connects, and introduces us to the server; does nothing where there is a connection."""
        ...

    def send(self, args: Sequence[Arg]) -> None:
        """Sends one command."""
        ...

    def send_all(self, commands: Sequence[Sequence[Arg]]) -> None:
        """Sends several commands at once; each has a reply to be read."""
        ...

    def read(self, seconds: float) -> Any:
        """The next reply. Raises an error that the server answers with."""
        ...

    def close(self) -> None:
        """Ends it."""
        ...
