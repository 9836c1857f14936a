"""What a client does for a job, counted: calls of functions, tasks of the event loop, requests and bytes.

No time is measured, so this holds on a busy machine. Each number is the difference between a long run and a short one,
divided by the jobs between them; what happens once does not count. Calls are those of functions written in Python, as
`sys.setprofile` sees them; a coroutine that is resumed counts as called again.

When a number falls, write the smaller one here. When it rises, find out what the jobs get for it; if that is worth it
to every job, write the larger one, and say so where the change is described. Bytes, requests and tasks are exact. Calls
have room for other versions of Python and of libraries: five in a hundred.
"""

from typing import Final

import pytest

from taskora.producer import AsyncProducer
from taskora.worker import CallNext, Context, _turns
from tests.counts.canned import CannedServer, canned_backend
from tests.counts.counting import NOOP, Load, Work, work_of_a_job, worked_off


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


async def look_away(_ctx: Context) -> None:
    """Takes a context and does nothing with it."""


async def look_at_the_time(ctx: Context) -> None:
    assert ctx.deadline is not None


async def hand_on(_ctx: Context, call_next: CallNext) -> object:
    return await call_next()


def forget_it(_data: dict[str, int], _ctx: Context) -> None:
    raise AssertionError("nobody cancels anything")


CASES: Final[dict[str, tuple[Load, Work]]] = {
    "dispatch, one by one": (one_by_one, Work(calls=31, tasks=0, requests=1, sent_bytes=184)),
    "dispatch_many, fifty at once": (in_batches_of_fifty, Work(calls=2.94, tasks=0, requests=0.02, sent_bytes=58.58)),
    "a job of a lane of one": (worked_off(1), Work(calls=105, tasks=1, requests=1, sent_bytes=285)),
    "a job of a lane of one that claims four": (
        worked_off(1, ahead=3),
        Work(calls=59.6, tasks=1, requests=0.25, sent_bytes=141.75),
    ),
    "a job of a lane of a hundred": (worked_off(100), Work(calls=34, tasks=1, requests=0.02, sent_bytes=97.85)),
}

# What a handler, or its implementation, asks for adds so many calls to a job of a lane of a hundred, those of the
# functions here included, and nothing else.
EXTRAS: Final[dict[str, tuple[Load, float]]] = {
    "a context": (worked_off(100, use=look_away), 10),
    "a context, and its deadline": (worked_off(100, use=look_at_the_time), 11),
    "a cancel hook": (worked_off(100, on_cancel=forget_it), 8),
    "one middleware": (worked_off(100, middleware=[hand_on]), 11),
    "two middlewares": (worked_off(100, middleware=[hand_on, hand_on]), 14),
    "captured logs, and none written": (worked_off(100, capture_logs=True), 10),
}


@pytest.fixture(autouse=True)
def _much_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_turns, "LONGEST_WAIT_MS", 600_000)  # counting takes time


@pytest.mark.parametrize("name", CASES)
def test_a_plain_job_costs_a_client_no_more_than_it_did(name: str) -> None:
    load, pinned = CASES[name]
    work = work_of_a_job(load)
    assert work.tasks == pytest.approx(pinned.tasks, abs=0.01)
    assert work.requests == pytest.approx(pinned.requests, rel=0.02)
    assert work.sent_bytes == pytest.approx(pinned.sent_bytes, rel=0.01)
    assert work.calls <= pinned.calls * 1.05


@pytest.mark.parametrize("name", EXTRAS)
def test_only_who_asks_for_more_pays_for_it(name: str) -> None:
    load, added = EXTRAS[name]
    plain, pinned = CASES["a job of a lane of a hundred"]
    work, least = work_of_a_job(load), work_of_a_job(plain)
    assert (work.tasks, work.requests) == pytest.approx((pinned.tasks, pinned.requests), abs=0.01)
    assert work.sent_bytes == pytest.approx(pinned.sent_bytes, rel=0.01)
    assert work.calls - least.calls <= added + 1
