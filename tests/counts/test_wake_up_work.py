"""What lies between a job that arrives and its handler, counted: turns of the event loop, calls, tasks and timers.

An idle lane waits for a token. No time is measured: the numbers are the same on every machine. Calls are those of
functions of ours, as `sys.setprofile` sees them; see `test_client_work` for how to move the pins.
"""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final

from taskora.worker import Defaults
from taskora.worker._attempt import Attempt
from taskora.worker._executor import Executor
from taskora.worker._implementation import resolve
from taskora.worker._invoking import in_event_loop
from taskora.worker._lane import Lane
from tests.counts.canned import CannedServer
from tests.counts.canned_socket import CannedSocket, connected_backend
from tests.counts.counting import NOOP
from tests.polling import aeventually

_TIMERS: Final = ("call_at", "call_later")


@dataclass(slots=True, kw_only=True)
class Path:
    """What was done on a part of the way."""

    turns: int = 0
    calls: int = 0
    tasks: int = 0
    timers: int = 0


class Counter:
    """Counts from the token to the exchange, and from its reply to the handler."""

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self._path: Path | None = None

    def begin(self, _name: str = "") -> None:
        """Begins a part, once another one has ended."""
        self._path = Path()
        sys.setprofile(self._count)

    def go_on(self, name: str) -> None:
        """Begins the second part with the reply to the exchange of the first."""
        if name == "EVALSHA" and len(self.paths) == 1:
            self.begin()

    def end(self, name: str = "EVALSHA") -> None:
        """Ends a part, if one has begun."""
        sys.setprofile(None)
        if self._path is not None and name == "EVALSHA":
            self.paths.append(self._path)
            self._path = None

    def _count(self, frame: FrameType, event: str, _argument: object) -> None:
        path = self._path
        if event != "call" or path is None:
            return
        name = frame.f_code.co_name
        path.calls += "/taskora/" in frame.f_code.co_filename
        path.turns += name == "_run_once"
        path.tasks += name == "create_task" and "asyncio" in frame.f_code.co_filename
        path.timers += name in _TIMERS


def nobody_cares(attempt: Attempt, outcome: object, implementation: object) -> None:
    raise AssertionError(f"{attempt.claim.job_id} failed: {outcome} {implementation}")


async def follow_a_job(counter: Counter) -> None:
    """A lane that has had a job and is idle again is told of the next one."""
    server = CannedServer()
    sockets: list[CannedSocket] = []
    handled = asyncio.Event()

    def make() -> CannedSocket:
        sockets.append(CannedSocket(server, on_write=counter.end, on_reply=counter.go_on))
        return sockets[-1]

    async def handle(data: dict[str, int]) -> int:
        counter.end()
        handled.set()
        return data["n"]

    async def push_one(count: Callable[[], None]) -> None:
        await aeventually(lambda: not lane.attempts and any(socket.waits_for for socket in sockets))
        socket = next(socket for socket in sockets if socket.waits_for)
        server.backlog = 1
        handled.clear()
        count()
        socket.push_token()
        await handled.wait()

    backend = connected_backend(make)
    implementation = resolve(NOOP, handle, Defaults(concurrency=10), None)
    executor = Executor(implementation, (), in_event_loop(implementation), backend.run)
    lane = Lane(backend, implementation, executor, lease_ms=30_000, on_failure=nobody_cares, on_trouble=print)
    running = asyncio.create_task(lane.run())
    await push_one(lambda: None)
    await push_one(counter.begin)
    lane.stop_claiming()
    await running
    await backend.close()


PINNED: Final = [
    Path(turns=2, calls=35, tasks=0, timers=0),  # from the token to the exchange
    Path(turns=2, calls=30, tasks=2, timers=0),  # from its reply to the handler; one task is the next wait's
]


def test_a_job_that_an_idle_lane_waits_for_passes_few_hands() -> None:
    counter = Counter()
    with asyncio.Runner() as runner:
        runner.run(follow_a_job(counter))
    for path, pinned in zip(counter.paths, PINNED, strict=True):
        assert (path.turns, path.tasks, path.timers) == (pinned.turns, pinned.tasks, pinned.timers)
        assert path.calls <= pinned.calls * 1.05
