"""What flow control costs the jobs that ask for none of it, while much is blocked around them.

Each case prepares a task, then works off a backlog of plain jobs of that same task: one at a time, where a single job
pays for a claim, and a hundred at a time.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from taskora.bench._drain import NOOP, Drained, drain
from taskora.bench._rows import Row
from taskora.contracts import RateLimit
from taskora.producer import AsyncProducer
from taskora.wire import Exchange, ReserveStart
from taskora.wire.backends import open_backend

KEYS: Final = 10_000
JOBS_OF_ONE_KEY: Final = 100_000
_BATCH: Final = 1000
_LEASE_MS: Final = 3_600_000
_WINDOW_MS: Final = 3_600_000
_ROOMY: Final = 1_000_000


async def _nothing(url: str) -> None:
    """A task that never heard of flow control."""


async def _running(url: str) -> None:
    """Jobs that run and hold no key: what the next case has beside its blocked keys."""
    await _dispatch(url, ("" for _ in range(KEYS)))
    await _claim_until_idle(url)


async def block_keys(url: str) -> None:
    """Every key has a job that runs and one that waits for it."""
    await _dispatch(url, (f"org-{n % KEYS}" for n in range(2 * KEYS)))
    await _claim_until_idle(url)


async def _blocked_jobs(url: str) -> None:
    """One key has a job that runs, and a crowd that waits for it."""
    await _dispatch(url, ("org" for _ in range(JOBS_OF_ONE_KEY + 1)))
    await _claim_until_idle(url)


async def _limited_key(url: str) -> None:
    await _reserve(url, 1)


async def _limited_keys(url: str) -> None:
    await _reserve(url, KEYS)


async def _dispatch(url: str, keys: Iterable[str]) -> None:
    """One job for each key; an empty one is none."""
    async with AsyncProducer(url) as producer:
        task = producer.register(NOOP)
        items = [task.item({"n": 0}, concurrency_key=key, concurrency_limit=1) if key else {"n": 0} for key in keys]
        for start in range(0, len(items), _BATCH):
            await task.dispatch_many(items[start : start + _BATCH])


async def _claim_until_idle(url: str) -> None:
    """Plays a worker that takes whatever may start, and never ends any of it."""
    async with AsyncProducer(url) as producer:
        backend = open_backend(url)
        while True:
            await backend.run(Exchange(task=NOOP.name, token="holder", lease_ms=_LEASE_MS, slots=_BATCH))
            stats = (await producer.inspector.stats(NOOP))[NOOP.name]
            if stats.waiting == stats.parked:
                break
        await backend.close()


async def _reserve(url: str, keys: int) -> None:
    """Uses up a place in the window of each key."""
    backend = open_backend(url)
    for n in range(keys):
        operation = ReserveStart(task=NOOP.name, key=f"org-{n}", start_id="x:1", max=_ROOMY, window_ms=_WINDOW_MS)
        await backend.run(operation)
    await backend.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One preparation, and how the worker is limited after it."""

    name: str
    title: str
    prepare: Callable[[str], Awaitable[None]]
    limited_keys: int = 0

    def rows(self) -> tuple[Row, ...]:
        """The figures of this case."""
        return tuple(
            row
            for at_once in (1, 100)
            for row in (
                Row(name=f"{self.name}_rate_{at_once}", title=f"{self.title}, c={at_once}", unit="ops/s"),
                Row(name=f"{self.name}_us_{at_once}", title="  server time per job", unit="us"),
                Row(name=f"{self.name}_commands_{at_once}", title="  server commands per job", unit="calls"),
            )
        )


CASES: Final = (
    Case(name="flow_none", title="nothing blocked", prepare=_nothing),
    Case(name="flow_running", title="10,000 jobs run", prepare=_running),
    Case(name="flow_keys", title="10,000 jobs run, 10,000 keys blocked", prepare=block_keys),
    Case(name="flow_jobs", title="100,000 jobs of a key blocked", prepare=_blocked_jobs),
    Case(name="flow_rate_one", title="rate limit per key, 1 key", prepare=_limited_key, limited_keys=1),
    Case(name="flow_rate_many", title="rate limit per key, 10,000 keys", prepare=_limited_keys, limited_keys=KEYS),
)


async def measure(case: Case, url: str, scale: float) -> dict[str, float]:
    """Prepares, then works off two backlogs of plain jobs."""
    await case.prepare(url)
    limit = None
    if case.limited_keys:
        keys = case.limited_keys
        limit = RateLimit(max=_ROOMY, window=_WINDOW_MS / 1000, key=lambda data: f"org-{data['n'] % keys}")
    one = await drain(url, jobs=int(2000 * scale), concurrency=1, rate_limit=limit)
    many = await drain(url, jobs=int(10_000 * scale), concurrency=100, rate_limit=limit)
    return _figures(case.name, 1, one) | _figures(case.name, 100, many)


def _figures(name: str, at_once: int, drained: Drained) -> dict[str, float]:
    return {
        f"{name}_rate_{at_once}": drained.rate,
        f"{name}_us_{at_once}": drained.server_us,
        f"{name}_commands_{at_once}": drained.commands,
    }
