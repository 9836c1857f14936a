"""The connections that are made for URLs, and those of redis-py behind the same face."""

import asyncio
import contextlib
import errno
import gc
import os
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import connection, crc, exceptions

from taskora.contracts import UsageError
from taskora.wire.backends import _async_server_connection
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._cluster_map import key_slot
from taskora.wire.backends._connection_factory import async_factory, sync_factory
from taskora.wire.backends._introduction import Settings, check_reply, introduction, read_settings
from taskora.wire.backends._tls import tls_context
from taskora.wire.backends._url import read_url
from tests.servers import Server
from tests.wire.scripted_server import Line, ScriptedServer

REDIS_PY_CONNECTIONS: Any = connection
COURTESY = ("CLIENT", "SETINFO", "LIB-NAME", "taskora")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(), []),
        (Settings(password="p"), [("AUTH", "p")]),
        (Settings(username="u"), [("AUTH", "u", "")]),
        (Settings(username="u", password="p", db=3), [("AUTH", "u", "p"), ("SELECT", 3)]),
        (Settings(protocol=3, client_name="shop"), [("HELLO", 3), ("CLIENT", "SETNAME", "shop")]),
        (Settings(protocol=3, password="p"), [("HELLO", 3, "AUTH", "default", "p")]),
        (Settings(protocol=3, username="u", password="p"), [("HELLO", 3, "AUTH", "u", "p")]),
    ],
)
def test_what_is_said_first(settings: Settings, said: list[tuple[object, ...]]) -> None:
    assert introduction(settings) == [*said, COURTESY]


def test_an_introduction_fails_with_an_error_and_a_courtesy_only_with_one_that_ends_the_connection() -> None:
    courtesy = introduction(Settings())[-1]
    check_reply(("SELECT", 3), b"OK")
    check_reply(courtesy, redis_errors.NoPermissionError("no"))
    check_reply(courtesy, redis_errors.ResponseError("unknown subcommand"))
    for words in ("NOPERM no", "NOAUTH no"):
        with pytest.raises(redis_errors.RedisError, match="no"):
            check_reply(("SELECT", 3), redis_errors.error_of(words))
    for words in ("ERR max number of clients reached", "DENIED Redis is running in protected mode", "NOAUTH no"):
        with pytest.raises(redis_errors.ConnectionError):
            check_reply(courtesy, redis_errors.error_of(words))


def test_options_that_no_connection_takes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"cannot be made with these options.*pigeon"):
        read_settings({"pigeon": 1})


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ("ERR unknown command", redis_errors.ResponseError, "unknown command"),
        ("ERR max number of clients reached", redis_errors.ConnectionError, "max number of clients reached"),
        ("WRONGTYPE not a list", redis_errors.ResponseError, "WRONGTYPE not a list"),
        ("NOSCRIPT No matching script.", redis_errors.NoScriptError, "No matching script."),
        ("MOVED 866 10.0.0.1:6380", redis_errors.MovedError, "866 10.0.0.1:6380"),
        ("ASK 866 ::1:6380", redis_errors.AskError, "866 ::1:6380"),
        ("LOADING Redis is loading", redis_errors.BusyLoadingError, "Redis is loading"),
        ("WRONGPASS invalid pair", redis_errors.AuthenticationError, "invalid pair"),
        ("CLUSTERDOWN Hash slot not served", redis_errors.ClusterDownError, "Hash slot not served"),
        ("NOPERM no", redis_errors.NoPermissionError, "no"),
    ],
)
def test_errors_are_those_that_redis_py_makes_of_the_same_words(
    words: str, kind: type[Exception], message: str
) -> None:
    ours: Any = redis_errors.error_of(words)
    theirs: Any = REDIS_PY_CONNECTIONS.DefaultParser.parse_error(words)
    assert (type(ours), str(ours)) == (kind, message)
    assert (type(ours).__name__, str(ours)) == (type(theirs).__name__, str(theirs))
    if isinstance(ours, redis_errors.AskError):
        assert (ours.host, ours.port) == (theirs.host, theirs.port)


def test_every_error_stands_where_it_stands_in_redis_py() -> None:
    kinds: list[Any] = [found for found in vars(redis_errors).values() if isinstance(found, type)]
    for kind in kinds:
        if issubclass(kind, redis_errors.RedisError) and kind is not redis_errors.TlsError:  # redis-py has no such
            theirs = getattr(exceptions, kind.__name__)
            assert {each.__name__ for each in kind.__mro__} <= {each.__name__ for each in theirs.__mro__}


@given(st.binary() | st.from_regex(rb"\A[a{}]{0,6}\Z"))
def test_a_key_has_the_slot_that_redis_py_finds(key: bytes) -> None:
    assert key_slot(key) == crc.key_slot(key)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", {"scheme": "redis", "host": "h"}),
        ("redis://u%40:p%2F@h:7/2", {"username": "u@", "password": "p/", "host": "h", "port": 7, "db": 2}),
        ("redis://h/2?db=3", {"db": 3}),
        ("unix://u:p@/a%20b.sock?db=4", {"scheme": "unix", "path": "/a b.sock", "username": "u", "db": 4}),
        ("redis://[::1]:7/0", {"host": "::1", "port": 7, "db": 0}),
        ("redis://h?socket_keepalive=no&socket_connect_timeout=0.5", {"socket_keepalive": False}),
        ("rediss://h?ssl_check_hostname=False&ssl_min_version=771", {"ssl_check_hostname": False}),
        ("rediss://h?ssl_include_verify_flags=VERIFY_X509_STRICT", {"scheme": "rediss"}),
        ("redis://h?client_name=a%2520b", {"client_name": "a%20b"}),
    ],
)
def test_a_url_says_what_it_says_to_redis_py(url: str, expected: dict[str, Any]) -> None:
    ours = read_url(url)
    assert expected.items() <= ours.items()
    theirs: dict[str, Any] = dict(REDIS_PY_CONNECTIONS.parse_url(url))
    theirs.pop("connection_class", None)
    assert {name: value for name, value in ours.items() if name != "scheme"} == theirs


@pytest.mark.parametrize(
    "option",
    [
        "ssl_cert_reqs=maybe", "ssl_include_verify_flags=NONE", "ssl_min_version=high", "ssl_min_version=5",
        "ssl_check_hostname=", "socket_read_size=0", "socket_connect_timeout=-1", "socket_connect_timeout=nan",
        "db=", "db=-1", "db=1&db=2",
    ],
)  # fmt: skip
def test_options_are_checked_when_the_url_is_read(option: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_url(f"rediss://h?{option}")


@pytest.mark.parametrize("option", ["password", "ssl_ca_certs", "client_name"])
def test_an_option_without_a_value_is_not_taken_for_one_that_is_left_out(option: str) -> None:
    with pytest.raises(UsageError, match=f"url option {option} has no value"):
        read_url(f"rediss://h?{option}=")


@pytest.mark.parametrize("url", ["redis://user:12#se%40cret@h/0", "redis://user:12?secret@h/0", "redis://:1?secret=@h"])
def test_a_password_with_special_characters_is_not_taken_for_an_address_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError, match="escape special characters") as caught:
        read_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["unix://", "unix://redis.sock"])
def test_a_url_of_a_unix_socket_names_it(url: str) -> None:
    with pytest.raises(UsageError, match="names no socket"):
        read_url(url)


def test_settings_show_no_secrets() -> None:
    shown = repr(read_settings(read_url("rediss://u:geheim@h?ssl_password=geheim")))
    assert "geheim" not in shown
    assert "'u'" in shown


def test_what_a_url_says_of_tls_is_what_is_asked_for() -> None:
    options = read_url(
        "rediss://h?ssl_cert_reqs=optional&ssl_check_hostname=false&ssl_min_version=772&ssl_ciphers=ECDHE%2BAESGCM"
        "&ssl_include_verify_flags=VERIFY_X509_STRICT&ssl_exclude_verify_flags=VERIFY_X509_TRUSTED_FIRST"
    )
    context = tls_context(options)
    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_OPTIONAL)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert context.verify_flags & ssl.VERIFY_X509_STRICT
    assert not context.verify_flags & ssl.VERIFY_X509_TRUSTED_FIRST
    assert tls_context({}).check_hostname


REDIS_PY = pytest.mark.parametrize("redis_py", [False, True], ids=["ours", "redis-py"])


@REDIS_PY
async def test_a_connection_that_nobody_accepts_names_its_address(redis_py: bool) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        options = {"scheme": "redis", "host": "127.0.0.1", "port": bound.getsockname()[1]}
        words = f"connecting to 127.0.0.1:{options['port']}"
        with pytest.raises(redis_errors.ConnectionError, match=words):
            await async_factory(options, redis_py=redis_py)().connect()
        with pytest.raises(redis_errors.ConnectionError, match=words):
            sync_factory(options, redis_py=redis_py)().connect()


@REDIS_PY
async def test_a_connection_connects_again_after_it_was_closed(server: Server, redis_py: bool) -> None:
    options = read_url(f"{server.url}?client_name=again&db=5")
    opened = async_factory(options, redis_py=redis_py)()
    for _ in range(2):
        await opened.connect()
        await opened.send(("CLIENT", "GETNAME"))
        assert await opened.read() == b"again"
        await opened.close()
        assert not opened.is_connected
    await opened.connect()
    opened.abort()
    assert not opened.is_connected


@REDIS_PY
def test_threads_are_told_that_a_reply_does_not_come(server: Server, redis_py: bool) -> None:
    opened = sync_factory(read_url(server.url), redis_py=redis_py)()
    opened.connect()
    opened.send(("BLPOP", "nothing", 5))
    with pytest.raises(redis_errors.TimeoutError, match="Timeout reading"):
        opened.read(0.01)
    opened.close()


@pytest.fixture
def hanging_up() -> Iterator[int]:
    """Where connections are accepted and closed at once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]


@REDIS_PY
async def test_a_server_that_hangs_up_breaks_the_connection(hanging_up: int, redis_py: bool) -> None:
    options = {"scheme": "redis", "host": "127.0.0.1", "port": hanging_up, "password": "x"}
    with pytest.raises(redis_errors.ConnectionError):
        await async_factory(options, redis_py=redis_py)().connect()
    with pytest.raises(redis_errors.ConnectionError):
        sync_factory(options, redis_py=redis_py)().connect()


def test_a_connection_of_threads_that_is_forgotten_is_closed(server: Server) -> None:
    opened: Any = sync_factory(read_url(server.url))()
    opened.connect()
    number = opened._socket.fileno()
    del opened
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


@REDIS_PY
async def test_a_password_that_a_server_quotes_is_not_passed_on(redis_py: bool) -> None:
    async def refuse(line: Line) -> None:
        await line.reader.read(65536)
        line.send(b"-ERR unknown command 'AUTH', with args beginning with: 'u' 'geheim' \r\n")
        await line.reader.read(65536)

    async with ScriptedServer(refuse).listening() as port:
        options = read_url(f"redis://u:geheim@127.0.0.1:{port}")
        with pytest.raises(redis_errors.ResponseError, match="unknown command 'AUTH'") as caught:
            await async_factory(options, redis_py=redis_py)().connect()
        with pytest.raises(redis_errors.ResponseError, match="unknown command 'AUTH'") as by_thread:
            await asyncio.to_thread(sync_factory(options, redis_py=redis_py)().connect)
    for error in (caught, by_thread):
        assert "geheim" not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("password", ["", ":geheim@"])
async def test_a_server_without_room_says_so(password: str) -> None:
    async def refuse(line: Line) -> None:
        line.send(b"-ERR max number of clients reached\r\n")
        await line.writer.drain()
        line.hang_up()

    async with ScriptedServer(refuse).listening() as port:
        options = read_url(f"redis://{password}127.0.0.1:{port}")
        with pytest.raises(redis_errors.ConnectionError, match="max number of clients"):
            await async_factory(options)().connect()
        with pytest.raises(redis_errors.ConnectionError, match="max number of clients"):
            await asyncio.to_thread(sync_factory(options)().connect)


@REDIS_PY
async def test_a_wait_that_ends_since_a_master_became_a_replica_breaks_the_connection(redis_py: bool) -> None:
    async def unblock(line: Line) -> None:
        await line.next()
        line.send(b"-UNBLOCKED force unblock from blocking operation, instance state changed\r\n")

    async with ScriptedServer(unblock).listening() as port:
        opened = async_factory({"scheme": "redis", "host": "127.0.0.1", "port": port}, redis_py=redis_py)()
        await opened.connect()
        await opened.send(("BZPOPMIN", "key", 60))
        with pytest.raises(redis_errors.ConnectionError, match="force unblock"):
            await opened.read()
        opened.abort()


async def test_a_socket_that_cannot_be_tuned_is_closed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(_async_server_connection, "tune", fail)
    with pytest.raises(redis_errors.ConnectionError, match="Invalid argument"):
        await async_factory(read_url(server.url))().connect()
    gc.collect()  # a transport that was left open warns
