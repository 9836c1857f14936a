"""The first call connects: for all who make one meanwhile, and in vain where nobody answers."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from taskora.contracts import BackendError
from taskora.wire import Backend
from taskora.wire.backends import _connection_factory, open_backend, open_sync_backend
from tests.polling import aeventually
from tests.wire.connecting import COUNT, SOON_S, CountedConnections, enqueue


@pytest.fixture
def mute_address() -> Iterator[str]:
    """Where connections are accepted and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        yield f"127.0.0.1:{mute.getsockname()[1]}"


@pytest.mark.parametrize("password", ["", ":secret@"])
async def test_a_server_that_never_answers_cannot_be_reached(mute_address: str, password: str, transport: str) -> None:
    options = f"socket_connect_timeout=0.05&transport={transport}"
    backend = open_backend(f"redis://{password}{mute_address}/0?{options}")
    with pytest.raises(BackendError, match=r"cannot be reached.*not connected within 0\.05s"):
        await asyncio.wait_for(backend.run(COUNT), SOON_S)
    await backend.close()


@pytest.mark.parametrize("password", ["", ":secret@"])
def test_a_server_that_never_answers_cannot_be_reached_by_threads(
    mute_address: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection_factory, "REPLY_TIMEOUT", 0.05)
    backend = open_sync_backend(f"redis://{password}{mute_address}/0")
    with pytest.raises(BackendError, match="cannot be reached"):
        backend.run(COUNT)
    backend.close()


@pytest.fixture
def refused_port() -> Iterator[int]:
    """Where nobody listens, and nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def test_all_first_calls_share_one_attempt_and_its_error(refused_port: int) -> None:
    connections = CountedConnections(refused_port)
    backend = connections.backend()
    for attempt in (1, 2):
        replies = await asyncio.gather(*(backend.run(COUNT) for _ in range(8)), return_exceptions=True)
        assert all("cannot be reached" in str(reply) for reply in replies)
        assert connections.made == 4 * attempt
    await backend.close()


async def test_a_first_call_that_is_cancelled_leaves_the_attempt_to_the_others(backend: Backend) -> None:
    first = asyncio.create_task(backend.run(COUNT))
    second = asyncio.create_task(backend.run(enqueue("j1")))
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.wait_for(second, SOON_S) == (True,)
    assert first.cancelled()


async def test_an_attempt_that_fails_after_its_only_caller_left_troubles_nobody(refused_port: int) -> None:
    connections = CountedConnections(refused_port)
    backend = connections.backend()
    left = asyncio.create_task(backend.run(COUNT))
    await aeventually(lambda: connections.made > 0)
    left.cancel()
    with pytest.raises(BackendError, match="cannot be reached"):
        await backend.run(COUNT)
    assert (left.cancelled(), connections.made) == (True, 4)
    await backend.close()


async def test_closing_ends_first_calls(mute_address: str) -> None:
    connections = CountedConnections(int(mute_address.partition(":")[2]))
    backend = connections.backend()
    calls = [asyncio.create_task(backend.run(COUNT)) for _ in range(2)]
    await aeventually(lambda: connections.made > 0)
    await backend.close()
    for call in calls:
        with pytest.raises(BackendError, match="this backend is closed"):
            await asyncio.wait_for(call, SOON_S)
    with pytest.raises(BackendError, match="this backend is closed"):
        await backend.run(COUNT)
