"""What a claim costs the server beside much that does not concern it: a backlog, delayed jobs, blocked keys.

Each case prepares a task, then plays a lane of one slot by hand: every exchange settles a job and claims the next.
Counted are the commands inside scripts, and the server's own time.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from taskora.bench._drain import NOOP, fill
from taskora.bench._flow import block_keys
from taskora.bench._rows import Row
from taskora.bench._server import ServerProbe
from taskora.producer import AsyncProducer
from taskora.wire import Backend, Claim, Exchange, Outcome, OutcomeKind
from taskora.wire.backends import open_backend

_CLAIMS: Final = 500
_BATCH: Final = 1000
_LEASE_MS: Final = 3_600_000
_FAR_AWAY: Final = "30d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """A task before the claims that are measured: how many jobs wait, are delayed, or wait for a key each."""

    name: str
    title: str
    waiting: int = 0
    delayed: int = 0
    prepare: Callable[[str], Awaitable[None]] | None = None

    def rows(self) -> tuple[Row, ...]:
        """The figures of this case."""
        return (
            Row(name=f"{self.name}_us", title=f"server time per claim, {self.title}", unit="us"),
            Row(name=f"{self.name}_commands", title="  server commands per claim", unit="calls"),
        )


BACKLOGS: Final = (
    Backlog(name="backlog_0", title="nothing else there"),
    Backlog(name="backlog_10k", title="10,000 jobs wait", waiting=10_000),
    Backlog(name="delayed_10k", title="10,000 jobs are delayed", delayed=10_000),
    Backlog(name="blocked_10k", title="10,000 concurrency keys are blocked", prepare=block_keys),
)
LARGE_BACKLOGS: Final = (
    Backlog(name="backlog_0", title="nothing else there"),
    Backlog(name="backlog_1m", title="1,000,000 jobs wait", waiting=1_000_000),
    Backlog(name="delayed_1m", title="1,000,000 jobs are delayed", delayed=1_000_000),
    Backlog(name="blocked_10k", title="10,000 concurrency keys are blocked", prepare=block_keys),
    Backlog(name="all_1m", title="all of these at once", waiting=1_000_000, delayed=1_000_000, prepare=block_keys),
)


async def measure(case: Backlog, url: str, scale: float) -> dict[str, float]:
    """Prepares, then claims and settles one job after the other."""
    if case.prepare is not None:
        await case.prepare(url)
    await _delay(url, int(case.delayed * scale))
    await fill(url, int(case.waiting * scale) + _CLAIMS + 1)
    backend, probe = open_backend(url), ServerProbe(url)
    claims = await _exchange(backend, ())
    before = probe.sample()
    for _ in range(_CLAIMS):
        claims = await _exchange(backend, claims)
    spent = probe.sample() - before
    await backend.close()
    return {
        f"{case.name}_us": spent.script_us / _CLAIMS,
        f"{case.name}_commands": spent.script_commands / _CLAIMS,
    }


async def _exchange(backend: Backend, held: tuple[Claim, ...]) -> tuple[Claim, ...]:
    outcomes = [Outcome(kind=OutcomeKind.COMPLETED, job_id=claim.job_id, token="bench", payload=b"1") for claim in held]
    operation = Exchange(task=NOOP.name, token="bench", lease_ms=_LEASE_MS, slots=1, outcomes=outcomes)
    return (await backend.run(operation)).claims


async def _delay(url: str, jobs: int) -> None:
    async with AsyncProducer(url) as producer:
        task = producer.register(NOOP)
        for start in range(0, jobs, _BATCH):
            count = min(_BATCH, jobs - start)
            await task.dispatch_many([task.item({"n": n}, delay=_FAR_AWAY) for n in range(count)])
