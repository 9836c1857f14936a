"""Which way commands travel is chosen from the URL, the kind of target, and what is installed."""

import importlib.util
from typing import Any

import pytest
import redis
import redis.asyncio

from taskora.contracts import UsageError
from taskora.wire.backends import open_backend, open_sync_backend
from taskora.wire.backends._async_connections import AsyncConnections
from taskora.wire.backends._multiplexer import Multiplexer

URL = "redis://127.0.0.1:1/0"


def commands_of(target: Any, **options: Any) -> object:
    backend: Any = open_backend(target, **options)
    commands: object = getattr(backend, "target", backend)._commands
    return type(commands)


@pytest.mark.parametrize(
    ("target", "options", "expected"),
    [
        (URL, {}, Multiplexer),
        (URL, {"transport": "redis-py"}, AsyncConnections),
        (f"{URL}?transport=redis-py", {}, AsyncConnections),
        (f"{URL}?transport=redis-py", {"transport": "fast"}, Multiplexer),
        (f"{URL}?transport=fast&client_name=shop", {}, Multiplexer),
        ("rediss://127.0.0.1:1/0", {}, Multiplexer),
        ("unix:///tmp/socket?db=1&transport=fast", {}, Multiplexer),
        (redis.Redis.from_url(URL), {}, AsyncConnections),
        (redis.Redis.from_url(URL), {"transport": "fast"}, Multiplexer),
        (redis.asyncio.Redis.from_url(URL), {"transport": "fast"}, Multiplexer),
    ],
)
def test_a_url_is_served_by_one_connection_unless_somebody_says_otherwise(
    target: Any, options: dict[str, Any], expected: object
) -> None:
    assert commands_of(target, **options) is expected


def test_a_transport_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match=r"url option transport must be one of auto, fast, redis-py, got 'pigeon'"):
        open_backend(f"{URL}?transport=pigeon")
    with pytest.raises(UsageError, match="'pigeon'"):
        open_sync_backend(f"{URL}?transport=pigeon")
    with pytest.raises(UsageError, match="'pigeon'"):
        commands_of(URL, transport="pigeon")


@pytest.mark.parametrize("transport", ["fast", "redis-py"])
def test_memory_has_no_transport(transport: Any) -> None:
    with pytest.raises(UsageError, match=f'transport "{transport}" leads to a server: memory:// has none'):
        open_backend("memory://", transport=transport)
    open_backend("memory://", transport="auto")


def test_threads_take_the_same_urls() -> None:
    open_sync_backend(f"{URL}?transport=fast").close()


def test_without_hiredis_there_is_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    def finds_nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", finds_nothing)
    assert commands_of(URL) is AsyncConnections
    with pytest.raises(UsageError, match="needs hiredis"):
        open_backend(f"{URL}?transport=fast")
