"""Settings of a connection that a URL names, and what is said first on it. Without input or output."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from taskora.contracts import UsageError
from taskora.contracts.records import field, record
from taskora.wire._call import Arg
from taskora.wire.backends._redis_errors import ConnectionError as BrokenConnectionError
from taskora.wire.backends._requests import CONNECT_TIMEOUT

_DEFAULT_USER: Final = "default"
_OUR_NAME: Final = "taskora"
# Only newer servers want to know it, not every user may tell it, and nothing depends on it.
_COURTESY: Final = ("CLIENT", "SETINFO", "LIB-NAME", _OUR_NAME)


@record
class Settings:
    """Where a server is, who we are there, and how we talk to it. With a `path` it is a Unix socket."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    client_name: str | None = None
    protocol: int = 2
    socket_connect_timeout: float | None = None
    socket_keepalive: bool = True
    socket_read_size: int = 65_536
    tls: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def connect_seconds(self) -> float:
        """How long connecting may take."""
        return self.socket_connect_timeout or CONNECT_TIMEOUT

    @property
    def where(self) -> str:
        """The address, for messages."""
        return self.path if self.path is not None else f"{self.host}:{self.port}"

    def failure(self, error: OSError) -> BrokenConnectionError:
        """The error for a connection that did not come about."""
        refused = self.refusal(error)
        if refused is not None:
            return refused
        reason = f"Error {error.errno}" if error.errno else "Error"
        return BrokenConnectionError(f"{reason} connecting to {self.where}. {error.strerror or error}.")

    def refusal(self, error: OSError) -> BrokenConnectionError | None:
        """The error for a certificate that was rejected; the server may say so only when the first reply is due."""
        if self.tls is None:
            return None
        from taskora.wire.backends._tls import refusal

        return refusal(error, self.tls, self.where)

    @contextmanager
    def introducing(self) -> Generator[None]:
        """While we have not been let in yet: over TLS, a connection that breaks then has probably not been accepted."""
        try:
            yield
        except BrokenConnectionError as error:
            if self.tls is None or type(error) is not BrokenConnectionError:
                raise
            from taskora.wire.backends._tls import cut_off

            raise cut_off(error, self.tls) from error


def read_settings(options: Mapping[str, Any]) -> Settings:
    """Takes what `read_url` has read.

    Raises:
        UsageError: no connection takes these options.
    """
    found = {name: value for name, value in options.items() if not name.startswith("ssl_")}
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    over_tls = found.pop("scheme", "redis") == "rediss"
    try:
        return Settings(**found, tls=tls if over_tls else None)
    except TypeError as error:
        raise UsageError(f"the connection cannot be made with these options: {error}") from None


def introduction(settings: Settings) -> list[tuple[Arg, ...]]:
    """What is said first: all at once, since no answer changes what follows."""
    commands: list[tuple[Arg, ...]] = []
    username, password = settings.username, settings.password
    is_known = bool(username or password)
    if settings.protocol == 3:
        credentials = ("AUTH", username or _DEFAULT_USER, password or "") if is_known else ()
        commands.append(("HELLO", 3, *credentials))
    elif is_known:
        commands.append(("AUTH", username, password or "") if username else ("AUTH", password or ""))
    if settings.client_name:
        commands.append(("CLIENT", "SETNAME", settings.client_name))
    if settings.db:
        commands.append(("SELECT", settings.db))
    commands.append(_COURTESY)
    return commands


def check_reply(command: tuple[Arg, ...], reply: Any) -> None:
    """Raises the error that a part of an introduction was answered with; nothing more may come after it.

    A server that does not let us in says so once, whatever was asked, and hangs up.
    """
    is_refused = isinstance(reply, Exception)
    if is_refused and (command is not _COURTESY or isinstance(reply, BrokenConnectionError)):
        raise reply
