"""What a shared connection says first, over TLS as well, and how often it is tried."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from taskora.wire.backends import _redis_errors as redis_errors
from tests.wire.scripted_server import echo
from tests.wire.talking import SOON_S, all_of, say, talking_to


async def test_credentials_name_and_database_are_said_before_the_first_request() -> None:
    options: dict[str, Any] = {"username": "bob", "password": "secret", "db": 3, "client_name": "shop"}
    async with talking_to(echo, **options) as (multiplexer, server):
        await multiplexer.request(say(1))
        greetings = server.lines[0].greetings
        assert greetings[:2] == [[b"AUTH", b"bob", b"secret"], [b"CLIENT", b"SETNAME", b"shop"]]
        assert greetings[2:] == [[b"SELECT", b"3"], [b"CLIENT", b"SETINFO", b"LIB-NAME", b"taskora"]]


async def test_wrong_credentials_are_refused() -> None:
    async with talking_to(echo, password="wrong") as (multiplexer, server):
        for tries in (1, 2):
            with pytest.raises(redis_errors.AuthenticationError):
                await asyncio.wait_for(multiplexer.request(say(1)), SOON_S)
            assert len(server.lines) == tries


async def test_callers_share_attempts_to_connect_and_pause_longer_after_each(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    asleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asleep(0)

    async with talking_to(echo, port=1) as (multiplexer, _):
        monkeypatch.setattr(asyncio, "sleep", sleep)
        for _ in range(8):
            replies = await all_of(multiplexer, 1, 2, 3)
            assert [type(reply) for reply in replies] == [redis_errors.ConnectionError] * 3
        bounds = [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
        assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of our own for 127.0.0.1, its key beside it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate to test TLS with")
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path.with_suffix(".key")), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


async def test_tls_with_a_certificate_that_is_trusted(certificate: Path) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
    async with talking_to(echo, tls, scheme="rediss", ssl_ca_certs=str(certificate)) as (multiplexer, server):
        assert await all_of(multiplexer, *range(100), "x" * 300_000) == [
            *(b"%d" % number for number in range(100)),
            b"x" * 300_000,
        ]
        assert len(server.lines) == 1


async def test_tls_with_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
    async with talking_to(echo, tls, scheme="rediss") as (multiplexer, _):
        with pytest.raises(redis_errors.ConnectionError):
            await asyncio.wait_for(multiplexer.request(say(1)), SOON_S)
