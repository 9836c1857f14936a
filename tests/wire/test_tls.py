"""Over TLS we know whom we talk to, and are known."""

import asyncio
import contextlib
import subprocess
from pathlib import Path

import pytest

from taskora.contracts import BackendError, UsageError
from taskora.wire import CountJobs
from taskora.wire._flows import Pause
from taskora.wire.backends import _requests, open_backend, open_sync_backend
from tests.fixtures import StartServer
from tests.tls import Certificates, tls_front
from tests.wire.scripted_server import Line, ScriptedServer

COUNT = CountJobs(task="t")
WAYS = ["transport=fast", "transport=fast&protocol=3", "transport=redis-py"]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long operations waited before they were sent again."""
    paused: list[float] = []

    def note(seconds: float) -> Pause:
        paused.append(seconds)
        return Pause(seconds)

    monkeypatch.setattr(_requests, "Pause", note)
    return paused


async def reach(url: str) -> None:
    """Asks something over a URL, from asyncio and from a thread; both go well or fail alike."""
    failures: list[BackendError] = []
    backend = open_backend(url)
    try:
        await backend.run(COUNT)
    except BackendError as error:
        failures.append(error)
    finally:
        await backend.close()
    with contextlib.closing(open_sync_backend(url)) as sync:
        try:
            await asyncio.to_thread(sync.run, COUNT)
        except BackendError as error:
            failures.append(error)
    if failures:
        assert len(failures) == 2, failures
        raise failures[0]


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_shows_a_certificate_that_we_trust(tls_url: str, way: str) -> None:
    await reach(f"{tls_url}&{way}")
    with pytest.raises(BackendError, match="CERTIFICATE_VERIFY_FAILED"):
        await reach(f"{tls_url.partition('?')[0]}?{way}")
    await reach(f"{tls_url.partition('?')[0]}?ssl_cert_reqs=none&ssl_check_hostname=false&{way}")


@pytest.mark.parametrize("way", WAYS)
async def test_a_certificate_is_for_the_host_that_was_asked_for(
    start_server: StartServer, certificates: Certificates, way: str
) -> None:
    with tls_front(start_server("valkey9").port, certificates.server_context("elsewhere")) as port:
        url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificates.file('authority')}&{way}"
        with pytest.raises(BackendError, match=r"CERTIFICATE_VERIFY_FAILED.*127\.0\.0\.1"):
            await reach(url)
        await reach(f"{url}&ssl_check_hostname=false")


@pytest.mark.parametrize("way", WAYS)
async def test_how_strictly_authorities_are_read_can_be_chosen(
    start_server: StartServer, certificates: Certificates, way: str
) -> None:
    with tls_front(start_server("valkey9").port, certificates.server_context("careless")) as port:
        url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificates.file('careless-authority')}&{way}"
        with pytest.raises(BackendError, match=r"CERTIFICATE_VERIFY_FAILED.*key usage"):
            await reach(f"{url}&ssl_include_verify_flags=VERIFY_X509_STRICT")
        await reach(f"{url}&ssl_exclude_verify_flags=VERIFY_X509_STRICT")


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_may_want_a_certificate_of_ours(
    start_server: StartServer, certificates: Certificates, way: str
) -> None:
    with tls_front(start_server("valkey9").port, certificates.server_context(asks=True)) as port:
        url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificates.file('authority')}&{way}"
        with pytest.raises(BackendError, match="option ssl_certfile"):  # whether its reason arrives or not
            await reach(url)
        await reach(f"{url}&ssl_certfile={certificates.file('client')}&ssl_keyfile={certificates.key('client')}")


async def hang_up(line: Line) -> None:
    """What a server does that was shown no certificate: its own word for it may be lost with the connection."""
    await line.reader.read(1)
    line.writer.transport.abort()


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_that_hangs_up_at_the_end_of_the_handshake_may_want_a_certificate(
    certificates: Certificates, way: str
) -> None:
    async with ScriptedServer(hang_up).listening(certificates.server_context()) as port:
        url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificates.file('authority')}&{way}"
        with pytest.raises(BackendError, match=r"end of the TLS handshake: .* in option ssl_certfile, got None"):
            await reach(url)
    async with ScriptedServer(hang_up).listening() as port:
        with pytest.raises(BackendError) as caught:
            await reach(f"redis://127.0.0.1:{port}?{way}")
    assert "TLS" not in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
async def test_a_file_that_is_missing_is_named(
    tls_url: str, certificates: Certificates, way: str, option: str, pauses: list[float]
) -> None:
    files = {"ssl_ca_certs": certificates.file("authority"), "ssl_certfile": certificates.file("client")}
    files |= {"ssl_keyfile": certificates.key("client"), option: Path("/missing.pem")}
    options = "&".join(f"{name}={path}" for name, path in files.items())
    words = f"option {option} must be a file that can be read, got '/missing.pem' .No such file"
    with pytest.raises(BackendError, match=words):
        await reach(f"{tls_url.partition('?')[0]}?{options}&{way}")
    assert pauses == []


@pytest.mark.parametrize("way", WAYS)
async def test_a_file_without_certificates_is_named(tls_url: str, tmp_path: Path, way: str) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    url = tls_url.partition("?")[0]
    with pytest.raises(BackendError, match="option ssl_ca_certs must be a file with certificates of authorities, got"):
        await reach(f"{url}?ssl_ca_certs={empty}&{way}")
    with pytest.raises(BackendError, match="option ssl_certfile must be a file with a certificate"):
        await reach(f"{url}?ssl_certfile={empty}&{way}")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("ssl_ciphers=NONE-SUCH", "option ssl_ciphers must be a list of ciphers that OpenSSL has, got 'NONE-SUCH'"),
        ("ssl_ca_data=nothing", "option ssl_ca_data must be certificates of authorities, got 'nothing'"),
        ("ssl_ca_data=%C3%A4", "option ssl_ca_data must be certificates of authorities, got"),
    ],
)
async def test_options_that_openssl_refuses_are_named(tls_url: str, option: str, words: str) -> None:
    with pytest.raises(BackendError, match=words):
        await reach(f"{tls_url.partition('?')[0]}?{option}")


async def test_nobody_is_asked_for_the_password_of_a_key(
    tls_url: str, certificates: Certificates, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    locking = ("openssl", "ec", "-in", certificates.key("client"), "-aes128", "-passout", "pass:secret", "-out", locked)
    await asyncio.to_thread(subprocess.run, locking, check=True, capture_output=True)
    url = f"{tls_url}&ssl_certfile={certificates.file('client')}&ssl_keyfile={locked}"
    with pytest.raises(BackendError, match="option ssl_certfile must be a file with a certificate that fits"):
        await reach(url)  # at a terminal, OpenSSL would wait for an answer
    await reach(f"{url}&ssl_password=secret")


@pytest.mark.parametrize("way", WAYS)
async def test_an_untrusted_certificate_is_not_tried_again(tls_url: str, way: str, pauses: list[float]) -> None:
    with pytest.raises(BackendError, match="option ssl_ca_certs must be a file with the authority that signed it"):
        await reach(f"{tls_url.partition('?')[0]}?{way}")
    assert pauses == []


def test_an_option_of_tls_without_tls_is_refused() -> None:
    for opening in (open_backend, open_sync_backend):
        with pytest.raises(UsageError, match="begin the URL with rediss instead of redis"):
            opening("redis://localhost?ssl_ca_certs=x")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("protocol=4", "url option protocol must be 2 or 3, got 4"),
        ("protocol=two", "an option after the [?] has a value of the wrong type"),
        ("sentinel_password=x", "url option must be one of"),
        ("Transport=fast", "got 'Transport'"),
    ],
)
def test_options_that_a_url_does_not_have_are_refused(options: str, words: str) -> None:
    for opening in (open_backend, open_sync_backend):
        with pytest.raises(UsageError, match=words):
            opening(f"redis://localhost?{options}")


def test_options_of_clients_have_no_effect() -> None:
    open_sync_backend("redis://localhost?max_connections=5&socket_timeout=1&health_check_interval=3").close()
