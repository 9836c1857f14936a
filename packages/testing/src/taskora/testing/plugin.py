"""The pytest plugin: fixtures for tests of code that dispatches jobs, and of workers.

pytest loads it wherever this distribution is installed, so it imports nothing before a test asks for a fixture. All
fixtures are plain functions: they work in tests of pytest-asyncio and anyio, and in those without an event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from taskora.testing._clock import VirtualClock
    from taskora.testing._outbox import Outbox
    from taskora.testing._runner import TestRunner
    from taskora.wire.backends import EmbeddedServer
    from taskora.worker import Worker

__all__ = ["taskora_clock", "taskora_outbox", "taskora_runner", "taskora_server", "taskora_worker"]


@pytest.fixture
def taskora_clock() -> VirtualClock:
    """A clock that is moved by hand; the runner and the outbox of the test go by it."""
    from taskora.testing._clock import VirtualClock

    return VirtualClock()


@pytest.fixture
def taskora_worker() -> Worker | None:
    """The worker that `taskora_runner` borrows. Override it to return yours; by default the runner has its own."""
    return None


@pytest.fixture
def taskora_runner(taskora_clock: VirtualClock, taskora_worker: Worker | None) -> Generator[TestRunner]:
    """A `TestRunner`, closed after the test."""
    from taskora.testing._runner import TestRunner

    with TestRunner(taskora_worker, clock=taskora_clock) as runner:
        yield runner


@pytest.fixture
def taskora_outbox(request: pytest.FixtureRequest) -> Generator[Outbox]:
    """What the code under test dispatches, whatever producer it uses. No server is reached during the test.

    In a test that has a `taskora_runner` as well, the jobs go to the runner, and run when it is told to.
    """
    from taskora.testing._outbox import open_outbox

    wanted = request.fixturenames
    runner: TestRunner | None = request.getfixturevalue("taskora_runner") if "taskora_runner" in wanted else None
    clock: VirtualClock | None = request.getfixturevalue("taskora_clock") if "taskora_clock" in wanted else None
    with open_outbox(clock, runner) as outbox:
        yield outbox


@pytest.fixture(scope="session")
def taskora_server() -> Generator[EmbeddedServer]:
    """A Valkey server of this test process, empty at first; its `url` is for producers and workers.

    All tests of a process share it: give each a `prefix` of its own. Needs the extra `embedded`.
    """
    from taskora.contracts import UsageError
    from taskora.wire.backends import EmbeddedServer

    server, reason = None, ""
    try:
        server = EmbeddedServer()
    except UsageError as error:
        reason = f"taskora_server cannot start: {error}"
    if server is None:
        pytest.fail(reason, pytrace=False)
    with server:
        yield server
