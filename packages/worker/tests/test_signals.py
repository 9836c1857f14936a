"""Being told to end, at any time."""

import asyncio
import os
import signal

import pytest

from packages.worker.tests.workbench import double
from taskora.contracts import BackendError, Duration
from taskora.worker import Worker
from taskora.worker._lane import Lane
from taskora.worker._signals import run_until_signalled


class Slow:
    """A worker that is told to end while it starts."""

    def __init__(self, signals: int, error: Exception | None = None) -> None:
        self.log: list[str] = []
        self._signals = signals
        self._error = error

    async def start(self) -> None:
        for _ in range(self._signals):
            os.kill(os.getpid(), signal.SIGTERM)
        if self._error is not None:
            raise self._error
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.log.append("start cancelled")
            raise

    async def close(self, timeout: Duration | None) -> None:  # noqa: ASYNC109 - the grace of jobs
        self.log.append("closed")


async def run(worker: Slow) -> bool:
    async with asyncio.timeout(10):
        return await run_until_signalled(worker, lambda: None, "1s", broken=never)


async def never() -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_ends_a_worker_that_has_not_started_yet(signals: int) -> None:
    worker = Slow(signals)
    assert asyncio.run(run(worker))
    assert worker.log == ["start cancelled", "closed"]


def test_a_worker_that_cannot_start_says_why() -> None:
    worker = Slow(0, BackendError("no server"))
    with pytest.raises(BackendError, match="no server"):
        asyncio.run(run(worker))
    assert worker.log == []


def test_a_worker_whose_lane_dies_closes_and_fails(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(memory)

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data

    def fail(lane: Lane, *arguments: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Lane, "_start_claims", fail)
    with pytest.raises(RuntimeError, match="died of a bug") as raised:
        worker.run(grace="1s")
    assert isinstance(raised.value.__cause__, KeyError)
    assert worker._closed
