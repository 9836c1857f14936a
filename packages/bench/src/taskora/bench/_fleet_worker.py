"""The worker that `taskora worker` runs in each process of a fleet: `taskora.bench._fleet_worker:create_worker`."""

import fcntl
import os
from pathlib import Path
from typing import Final

from taskora.bench._drain import KEEP_ALL, NO_SWEEPS, NOOP
from taskora.contracts import define_task
from taskora.worker import Worker

URL_VARIABLE: Final = "TASKORA_BENCH_URL"
GATE_VARIABLE: Final = "TASKORA_BENCH_GATE"
COMPUTE: Final = define_task("compute", input=dict[str, int], output=int)
_LOCK: Final = "gate"
_ROUNDS: Final = 25_000
"""About a millisecond. Not a time: processes that wait for a core would seem to work meanwhile."""


def create_worker() -> Worker:
    """A worker for both tasks, once the gate is open: every process begins when all have been imported."""
    pass_gate(Path(os.environ[GATE_VARIABLE]))
    worker = Worker(os.environ[URL_VARIABLE], retention=KEEP_ALL, defaults=NO_SWEEPS)

    @worker.implement(NOOP, concurrency=100)
    async def do_nothing(data: dict[str, int]) -> int:
        return data["n"]

    @worker.implement(COMPUTE, concurrency=10)
    async def compute(data: dict[str, int]) -> int:
        total = data["n"]
        for number in range(_ROUNDS):
            total += number
        return total

    return worker


def pass_gate(gate: Path) -> None:
    """Says that this process is there, and waits."""
    (gate / f"{os.getpid()}.pid").touch()
    with (gate / _LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


class Gate:
    """Holds processes back until it is opened, in a directory that they know."""

    def __init__(self, directory: Path) -> None:
        self._directory: Final = directory
        self._lock: Final = (directory / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def waiting(self) -> list[int]:
        """The processes that have come so far."""
        return sorted(int(path.stem) for path in self._directory.glob("*.pid"))

    def open(self) -> None:
        """Lets all go on, now and later."""
        self._lock.close()
