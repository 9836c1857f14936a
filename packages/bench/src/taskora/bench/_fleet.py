"""How a backlog is worked off by several processes, started as a user starts them: `taskora worker ... --processes N`.

Measured is the middle of the backlog: all processes are there, and none has run out of jobs.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taskora.bench._drain import NOOP
from taskora.bench._fleet_worker import COMPUTE, GATE_VARIABLE, URL_VARIABLE, Gate
from taskora.bench._rows import Row
from taskora.bench._server import ServerProbe, ServerSample
from taskora.contracts import TaskContract
from taskora.producer import AsyncProducer
from taskora.wire import Backend, CountJobs
from taskora.wire.backends import open_backend

_TARGET: Final = "taskora.bench._fleet_worker:create_worker"
_BATCH: Final = 1000
_POLL_SECONDS: Final = 0.02
_START_SECONDS: Final = 60.0
_RUN_SECONDS: Final = 120.0
_END_SECONDS: Final = 15.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")
# Which part of the backlog is measured.
_FROM: Final = 0.15
_TO: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A number of processes, and the backlog that they work off."""

    name: str
    title: str
    contract: TaskContract[dict[str, int], int]
    jobs: int
    processes: int

    def rows(self) -> tuple[Row, ...]:
        """The figures of this fleet."""
        return (
            Row(name=f"{self.name}_rate", title=f"{self.title}, {self.processes} process(es)", unit="ops/s"),
            Row(name=f"{self.name}_workers", title="  cores used by the workers", unit="cores"),
            Row(name=f"{self.name}_server", title="  share of a core used by the server", unit="cores"),
            Row(name=f"{self.name}_us", title="  server time per job", unit="us"),
            Row(name=f"{self.name}_commands", title="  server commands per job", unit="calls"),
            Row(name=f"{self.name}_requests", title="  requests of workers per 1,000 jobs", unit="calls"),
        )


FLEETS: Final = tuple(
    Fleet(name=f"{name}_{processes}", title=title, contract=contract, jobs=jobs, processes=processes)
    for name, title, contract, jobs in (
        ("fleet_noop", "jobs that do nothing", NOOP, 60_000),
        ("fleet_compute", "jobs that compute for a millisecond", COMPUTE, 6_000),
    )
    for processes in (1, 2, 3, 4)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """How far a fleet is, and what was spent so far."""

    done: int
    seconds: float
    workers_us: float
    server: ServerSample


async def measure(fleet: Fleet, url: str, scale: float) -> dict[str, float]:
    """Fills the queue, starts the processes, and watches them work it off."""
    jobs = int(fleet.jobs * scale)
    await _fill(fleet, url, jobs)
    backend, probe = open_backend(url), ServerProbe(url)
    with tempfile.TemporaryDirectory(prefix="taskora-fleet-") as directory:
        gate = Gate(Path(directory))
        async with running(_TARGET, fleet.processes, {URL_VARIABLE: url, GATE_VARIABLE: directory}) as ended:
            await until(lambda: _are_there(gate, fleet.processes), ended, within=_START_SECONDS)
            gate.open()

            async def moment(share: float) -> _Moment:
                done = await until(lambda: _are_done(backend, fleet, share * jobs), ended, within=_RUN_SECONDS)
                return _Moment(
                    done=done,
                    seconds=time.perf_counter(),
                    workers_us=_cpu_us(gate.waiting()),
                    server=probe.sample(),
                )

            figures = _figures(fleet.name, await moment(_FROM), await moment(_TO))
    await backend.close()
    return figures


def _figures(name: str, start: _Moment, end: _Moment) -> dict[str, float]:
    jobs, seconds, spent = end.done - start.done, end.seconds - start.seconds, end.server - start.server
    if jobs < 1:
        raise RuntimeError("the backlog was worked off before it could be measured; a higher --scale helps")
    return {
        f"{name}_rate": jobs / seconds,
        f"{name}_workers": (end.workers_us - start.workers_us) / 1e6 / seconds,
        f"{name}_server": spent.cpu_us / 1e6 / seconds,
        f"{name}_us": spent.script_us / jobs,
        f"{name}_commands": spent.script_commands / jobs,
        f"{name}_requests": spent.requests * 1000 / jobs,
    }


async def _fill(fleet: Fleet, url: str, jobs: int) -> None:
    async with AsyncProducer(url) as producer:
        task = producer.register(fleet.contract)
        for start in range(0, jobs, _BATCH):
            await task.dispatch_many([{"n": n} for n in range(start, min(start + _BATCH, jobs))])


@asynccontextmanager
async def running(target: str, processes: int, environment: dict[str, str]) -> AsyncGenerator["asyncio.Task[int]"]:
    """`taskora worker` while the block lasts; it ends with this process, whatever becomes of that.

    Yields a task that is done when the program has ended.
    """
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "taskora.cli", "worker", target, "--processes", str(processes)]
    program = await asyncio.create_subprocess_exec(
        *command,
        *("--log-level", "warning", "--lifeline", str(reader)),
        pass_fds=(reader,),
        env={**os.environ, **environment},
    )
    ended = asyncio.create_task(program.wait())
    try:
        yield ended
    finally:
        with suppress(ProcessLookupError):
            program.send_signal(signal.SIGTERM)
        await asyncio.wait({ended}, timeout=_END_SECONDS)
        if not ended.done():
            program.kill()  # its processes see that it is gone, and end
            await ended
        os.close(writer)
        os.close(reader)


async def until(look: Callable[[], Awaitable[int]], ended: "asyncio.Task[int]", *, within: float) -> int:
    """What `look` finds, once that is more than 0."""
    async with asyncio.timeout(within):
        while not (found := await look()):
            if ended.done():
                raise RuntimeError(f"the worker processes ended with code {ended.result()}")
            await asyncio.sleep(_POLL_SECONDS)
    return found


async def _are_there(gate: Gate, count: int) -> int:
    return int(len(gate.waiting()) == count)


async def _are_done(backend: Backend, fleet: Fleet, wanted: float) -> int:
    done = (await backend.run(CountJobs(task=fleet.contract.name))).completed
    return done if done >= wanted else 0


def _cpu_us(pids: Sequence[int]) -> float:
    """The processor time of processes that run."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1e6 / _TICKS
