"""What lanes without work do, and what is done for many tasks together."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from packages.worker.tests.workbench import Meddler, double
from taskora.contracts import BackendError
from taskora.producer import AsyncProducer
from taskora.wire.backends import open_backend
from taskora.worker import Worker
from taskora.worker._patience import AFTER_DUE_MS, LONGEST_MS, SHORTEST_MS, patience_ms
from taskora.worker._rounds import AT_ONCE, for_each, rounds
from tests.polling import aeventually

NOW_MS = 1_000_000


@dataclass
class Patient(Meddler):
    """Notes how long lanes want to wait."""

    timeouts: list[int] = field(default_factory=list[int])

    async def wait_for_work(self, task: str, *, timeout_ms: int, now_ms: int) -> None:
        self.timeouts.append(timeout_ms)
        await super().wait_for_work(task, timeout_ms=timeout_ms, now_ms=now_ms)


async def double_it(data: int) -> int:
    return data * 2


async def test_a_lane_without_work_waits_for_long(url: str) -> None:
    backend = Patient(open_backend(url))
    worker = Worker(backend)
    worker.implement(double, double_it)
    async with worker:
        await aeventually(lambda: backend.timeouts)
    assert all(SHORTEST_MS <= timeout_ms <= LONGEST_MS for timeout_ms in backend.timeouts)
    await backend.close()


@pytest.mark.parametrize("count", [1, 3])
async def test_a_job_wakes_one_of_the_workers_that_wait(url: str, count: int) -> None:
    backends = [Patient(open_backend(url)) for _ in range(count)]
    jobs = 20

    def exchanges() -> int:
        return sum(backend.calls["Exchange"] for backend in backends)

    async with AsyncExitStack() as running, AsyncProducer(url) as producer:
        for backend in backends:
            worker = Worker(backend)
            worker.implement(double, double_it)
            await running.enter_async_context(worker)
        await aeventually(lambda: all(backend.timeouts for backend in backends))
        before, task = exchanges(), producer.register(double)
        for number in range(jobs):
            assert await (await task.dispatch(number)).result("10s") == number * 2
        # One claims, one settles. If all were woken, there would be one more for each.
        assert 2 * jobs <= exchanges() - before + 1 < 3 * jobs
    for backend in backends:
        await backend.close()


async def test_a_lane_that_knows_of_a_delayed_job_looks_soon_after_it_is_due(url: str) -> None:
    backend = Patient(open_backend(url))
    worker = Worker(backend)
    worker.implement(double, double_it)
    async with AsyncProducer(url) as producer:
        await producer.register(double).dispatch(1, delay="1s")
        async with worker:
            await aeventually(lambda: backend.timeouts)
    assert backend.timeouts[0] <= 1000 + AFTER_DUE_MS
    await backend.close()


@pytest.mark.parametrize(
    ("due_ms", "longest"),
    [(None, LONGEST_MS), (NOW_MS - 50, AFTER_DUE_MS), (NOW_MS + 10, 10 + AFTER_DUE_MS), (10 * NOW_MS, LONGEST_MS)],
)
def test_patience_ends_when_a_known_job_must_have_been_started(due_ms: int | None, longest: int) -> None:
    found = [patience_ms(NOW_MS, due_ms) for _ in range(1000)]
    assert max(found) <= longest
    assert len(set(found)) > 100 or longest < SHORTEST_MS


class Stop:
    """A task of a round."""

    def __init__(self, number: int, interval: float = 1.0) -> None:
        self.name = f"kind:{number}"
        self.interval = interval
        self.visits = 0
        self.error: Exception | None = None

    async def tick(self) -> None:
        self.visits += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error


async def test_a_round_goes_again_only_where_it_failed() -> None:
    stops = [Stop(number) for number in range(3 * AT_ONCE)]
    (role,) = rounds("kind", stops)
    away, bug = stops[1], stops[2 * AT_ONCE]
    away.error, bug.error = BackendError("away"), KeyError("a bug")
    with pytest.raises(KeyError):
        await role.tick()
    assert {stop.visits for stop in stops} == {1}
    bug.error = None
    with pytest.raises(BackendError):
        await role.tick()
    away.error = None
    await role.tick()
    assert (away.visits, bug.visits, stops[0].visits) == (3, 2, 1)
    await role.tick()
    assert (away.visits, bug.visits, stops[0].visits) == (4, 3, 2)


def test_tasks_that_share_an_interval_share_a_round() -> None:
    found = rounds("kind", [Stop(0, 1.0), Stop(1, 2.0), Stop(2, 1.0)])
    assert [(role.name, role.interval) for role in found] == [("kind", 1.0), ("kind", 2.0)]


async def test_only_some_things_are_done_at_once() -> None:
    running, most = 0, 0

    async def do(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        if item == 7:
            raise KeyError(item)

    failed = await for_each(range(100), do)
    assert most == AT_ONCE
    assert [item for item, _ in failed] == [7]
