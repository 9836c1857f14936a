"""What a client does for a job, counted: calls of functions, tasks of the event loop, requests and bytes.

No time is measured, so this holds on a busy machine. Each number is the difference between a long run and a short one,
divided by the jobs between them; what happens once does not count. Calls are those of functions written in Python, as
`sys.setprofile` sees them; a coroutine that is resumed counts as called again.

When a number falls, write the smaller one here. When it rises, find out what the jobs get for it; if that is worth it
to every job, write the larger one, and say so where the change is described. Bytes, requests and tasks are exact. Calls
have room for other versions of Python and of libraries: five in a hundred.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import pytest

from taskora.contracts import define_task
from taskora.producer import AsyncProducer
from taskora.wire import Outcome
from taskora.worker import Defaults, _turns
from taskora.worker._attempt import Attempt
from taskora.worker._executor import Executor
from taskora.worker._implementation import Implementation, resolve
from taskora.worker._invoking import in_event_loop
from taskora.worker._lane import Lane
from taskora.worker._prefetch import Prefetch
from tests.counts.canned import CannedServer, canned_backend

NOOP: Final = define_task("noop", input=dict[str, int], output=int)
FEW, MANY = 200, 1200


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one run took, or one job."""

    calls: float
    tasks: float
    requests: float
    sent_bytes: float

    def per_job(self, shorter: "Work") -> "Work":
        jobs = MANY - FEW
        return Work(
            calls=(self.calls - shorter.calls) / jobs,
            tasks=(self.tasks - shorter.tasks) / jobs,
            requests=(self.requests - shorter.requests) / jobs,
            sent_bytes=(self.sent_bytes - shorter.sent_bytes) / jobs,
        )


async def one_by_one(server: CannedServer, jobs: int) -> None:
    async with AsyncProducer(canned_backend(server)) as producer:
        task = producer.register(NOOP)
        for _ in range(jobs):
            await task.dispatch({"n": 1})


async def in_batches_of_fifty(server: CannedServer, jobs: int) -> None:
    async with AsyncProducer(canned_backend(server)) as producer:
        task = producer.register(NOOP)
        for _ in range(jobs // 50):
            await task.dispatch_many([{"n": 1}] * 50)


def nobody_cares(attempt: Attempt, outcome: Outcome, implementation: Implementation[Any, Any]) -> None:
    raise AssertionError(f"{attempt.claim.job_id} failed: {outcome} {implementation}")


class Trusting(Prefetch):
    """Takes every handler for a quick one: what is learnt from clocks cannot be counted."""

    def answered(self, seconds: float) -> None:
        super().answered(seconds)
        self.jobs = self.most


def worked_off(concurrency: int, *, prefetch: int = 0) -> Callable[[CannedServer, int], Awaitable[None]]:
    async def work_off(server: CannedServer, jobs: int) -> None:
        server.backlog = jobs
        done = 0

        async def handle(data: dict[str, int]) -> int:
            nonlocal done
            done += 1
            if done == jobs:
                lane.stop_claiming()
            return data["n"]

        backend = canned_backend(server)
        implementation = resolve(NOOP, handle, Defaults(concurrency=concurrency), None)
        executor = Executor(implementation, (), in_event_loop(implementation), backend.run)
        lane = Lane(
            backend,
            implementation,
            executor,
            lease_ms=30_000,
            on_failure=nobody_cares,
            on_trouble=lambda _: None,
            prefetch=Trusting(prefetch, slots=concurrency),
        )
        await lane.run()

    return work_off


CASES: Final = {
    "dispatch, one by one": (one_by_one, Work(calls=31, tasks=0, requests=1, sent_bytes=184)),
    "dispatch_many, fifty at once": (in_batches_of_fifty, Work(calls=2.94, tasks=0, requests=0.02, sent_bytes=58.58)),
    "a job of a lane of one": (worked_off(1), Work(calls=104, tasks=1, requests=1, sent_bytes=285)),
    "a job of a lane of one that claims four": (
        worked_off(1, prefetch=3),
        Work(calls=59.6, tasks=1, requests=0.25, sent_bytes=141.75),
    ),
    "a job of a lane of a hundred": (worked_off(100), Work(calls=34.9, tasks=1, requests=0.02, sent_bytes=97.85)),
}


def counted(load: Callable[[CannedServer, int], Awaitable[None]], jobs: int) -> Work:
    """Runs a load in an event loop of its own, and counts."""
    server = CannedServer()
    counts: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            counts["calls"] += 1
            counts["tasks"] += frame.f_code.co_name == "create_task"

    async def run() -> None:
        sys.setprofile(count)
        try:
            await load(server, jobs)
        finally:
            sys.setprofile(None)

    with asyncio.Runner() as runner:
        runner.run(run())
    return Work(calls=counts["calls"], tasks=counts["tasks"], requests=server.requests, sent_bytes=server.sent_bytes)


@pytest.mark.parametrize("name", CASES)
def test_a_plain_job_costs_a_client_no_more_than_it_did(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_turns, "LONGEST_WAIT_MS", 600_000)  # counting takes time
    load, pinned = CASES[name]
    counted(load, FEW)  # what is made on first use is there by then
    work = counted(load, MANY).per_job(counted(load, FEW))
    assert work.tasks == pytest.approx(pinned.tasks, abs=0.01)
    assert work.requests == pytest.approx(pinned.requests, rel=0.02)
    assert work.sent_bytes == pytest.approx(pinned.sent_bytes, rel=0.01)
    assert work.calls <= pinned.calls * 1.05
