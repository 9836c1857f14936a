"""TLS for tests: certificates of our own, and a front that speaks TLS for a server that cannot."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_CHUNK: Final = 65_536
_ROUNDS_TO_CLOSE: Final = 3  # of the event loop: an aborted socket is closed by a callback, which TLS passes on
_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout")


class OpensslMissingError(Exception):
    """This machine has no openssl; the message says what that means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files of an authority, of a server at 127.0.0.1, of one at another address, and of a client.

    `careless` is a server at 127.0.0.1 as well; its authority does not say that its key may sign.
    """

    directory: Path

    def file(self, name: str) -> Path:
        """Return the certificate of `authority`, `server`, `elsewhere`, `client`, `careless` or its authority."""
        return self.directory / f"{name}.pem"

    def key(self, name: str) -> Path:
        """Return the private key of one of them."""
        return self.directory / f"{name}.key"

    def server_context(self, name: str = "server", *, asks: bool = False) -> ssl.SSLContext:
        """Return what a server uses; `asks` for clients that have to show a certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.file(name), self.key(name))
        if asks:
            context.load_verify_locations(self.file("authority"))
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_certificates(directory: Path) -> Certificates:
    """Make them in a directory.

    Raises:
        OpensslMissingError: this machine has no openssl.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise OpensslMissingError("openssl is not installed: no certificate to test TLS with")
    made = Certificates(directory=directory)

    def run(*words: object) -> None:
        subprocess.run([openssl, *map(str, words)], check=True, capture_output=True)

    may_sign = ("-addext", "keyUsage=critical,keyCertSign")
    for name, says in (("authority", may_sign), ("careless-authority", ())):
        run("req", "-x509", *_KEY, made.key(name), "-days", 2, "-subj", f"/CN={name}", *says, "-out", made.file(name))
    for name, authority, address in (
        ("server", "authority", "IP:127.0.0.1"),
        ("elsewhere", "authority", "DNS:elsewhere.test"),
        ("client", "authority", "DNS:client.test"),
        ("careless", "careless-authority", "IP:127.0.0.1"),
    ):
        request, extensions = directory / f"{name}.csr", directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={address}\nauthorityKeyIdentifier=keyid\n")
        run("req", *_KEY, made.key(name), "-subj", f"/CN={name}", "-out", request)
        signer = ("-CA", made.file(authority), "-CAkey", made.key(authority), "-CAcreateserial")
        run("x509", "-req", "-in", request, *signer, "-days", 2, "-extfile", extensions, "-out", made.file(name))
    return made


@contextlib.contextmanager
def tls_front(port: int, context: ssl.SSLContext) -> Generator[int]:
    """Speak TLS on a port of 127.0.0.1, and pass everything on to `port`, from a thread of its own."""
    front = _Front(port, context)
    thread = threading.Thread(target=front.run)
    thread.start()
    try:
        front.is_ready.wait()
        yield front.port
    finally:
        front.stop()
        thread.join()


class _Front:
    def __init__(self, behind: int, context: ssl.SSLContext) -> None:
        self.is_ready: Final = threading.Event()
        self.port = 0
        self._behind: Final = behind
        self._context: Final = context
        self._loop = asyncio.new_event_loop()
        self._end: Final = asyncio.Event()
        self._serving: Final[set[asyncio.Task[None]]] = set()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)

    async def _run(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self.is_ready.set()
        await self._end.wait()
        server.close()
        await asyncio.gather(*self._serving, return_exceptions=True)
        for _ in range(_ROUNDS_TO_CLOSE):
            await asyncio.sleep(0)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._pass_on(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Nobody cancels this: a task that is cancelled before its first line leaves its socket open."""
        try:
            behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            writer.transport.abort()
            return
        ways: list[asyncio.Task[Any]] = [
            self._loop.create_task(_copy(reader, behind_writer)),
            self._loop.create_task(_copy(behind_reader, writer)),
            self._loop.create_task(self._end.wait()),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for each in (writer, behind_writer):
            each.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
