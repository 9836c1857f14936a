"""Counting what a client does: calls of functions, tasks of the event loop, requests and bytes."""

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, TypeAlias, Unpack

from taskora.contracts import define_task
from taskora.wire import Outcome
from taskora.worker import Context, Defaults, OnCancel
from taskora.worker._attempt import Attempt
from taskora.worker._executor import Executor
from taskora.worker._implementation import Implementation, RunOptions, resolve
from taskora.worker._invoking import in_event_loop
from taskora.worker._lane import Lane
from taskora.worker._prefetch import Prefetch
from tests.counts.canned import CannedServer, canned_backend

NOOP: Final = define_task("noop", input=dict[str, int], output=int)
FEW, MANY = 200, 1200

Load: TypeAlias = Callable[[CannedServer, int], Awaitable[None]]


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


def nobody_cares(attempt: Attempt, outcome: Outcome, implementation: Implementation[Any, Any]) -> None:
    raise AssertionError(f"{attempt.claim.job_id} failed: {outcome} {implementation}")


class Trusting(Prefetch):
    """Takes every handler for a quick one: what is learnt from clocks cannot be counted."""

    def ran(self, seconds: float) -> None:
        """It does not listen."""

    def answered(self, seconds: float) -> None:
        super().answered(seconds)
        self.jobs = self.most


def worked_off(
    slots: int,
    *,
    ahead: int = 0,
    use: Callable[[Context], Awaitable[None]] | None = None,
    on_cancel: OnCancel[dict[str, int]] | None = None,
    **options: Unpack[RunOptions],
) -> Load:
    """A lane works jobs off, and claims so many ahead. `use` gets the context, if handlers shall take one."""

    async def work_off(server: CannedServer, jobs: int) -> None:
        server.backlog = jobs
        done = 0

        async def handle(data: dict[str, int]) -> int:
            nonlocal done
            done += 1
            if done == jobs:
                lane.stop_claiming()
            return data["n"]

        async def handle_with_context(data: dict[str, int], ctx: Context) -> int:
            assert use is not None
            await use(ctx)
            return await handle(data)

        backend, handler = canned_backend(server), handle if use is None else handle_with_context
        defaults = Defaults(concurrency=slots)
        implementation = resolve(NOOP, handler, defaults, None, on_cancel=on_cancel, **options)
        lane = Lane(
            backend,
            implementation,
            Executor(implementation, (), in_event_loop(implementation), backend.run),
            lease_ms=30_000,
            on_failure=nobody_cares,
            on_trouble=lambda _: None,
            prefetch=Trusting(ahead, slots=slots),
        )
        await lane.run()

    return work_off


def counted(load: Load, jobs: int) -> Work:
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


def work_of_a_job(load: Load) -> Work:
    """The difference between a long run and a short one, per job: what happens once does not count."""
    counted(load, FEW)  # what is made on first use is there by then
    return counted(load, MANY).per_job(counted(load, FEW))
