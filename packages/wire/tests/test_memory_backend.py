"""What only the memory backend has: its clock, its names, and that any thread or event loop may use it."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from taskora.contracts import BackendError, JobState, UsageError
from taskora.wire import (
    KEEP_STOPPED_MS,
    AdvanceWorkflow,
    Claim,
    CountJobs,
    CreateWorkflow,
    Enqueue,
    Exchange,
    ExtendLeases,
    Lease,
    LeaseState,
    ListJobs,
    NewJob,
    Outcome,
    OutcomeKind,
    RecoverStalled,
    Settlement,
    StepResult,
    StopWorkflow,
    WorkflowGraph,
    WorkflowStep,
)
from taskora.wire.backends import MemoryBackend, open_backend, open_sync_backend
from taskora.wire.backends._memory import _shared
from taskora.wire.backends._memory._marker import Marker, Seeker

TASK = "work"
LONG_MS = 300_000  # longer than a test may take: what should have ended the waiting did


class HandClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.at = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.at


@pytest.fixture(autouse=True)
def no_shared_stores() -> Iterator[None]:
    """Forget the stores that a test made by name."""
    yield
    _shared._stores.clear()


def enqueue(*job_ids: str, delay_ms: int = 0) -> Enqueue:
    jobs = [NewJob(job_id=job_id, data=b"1", delay_ms=delay_ms) for job_id in job_ids]
    return Enqueue(task=TASK, version=1, max_attempts=1, jobs=jobs)


def exchange(token: str = "T", *, slots: int = 1, outcomes: tuple[Outcome, ...] = ()) -> Exchange:
    return Exchange(task=TASK, token=token, lease_ms=1000, slots=slots, outcomes=outcomes)


async def test_the_url_without_a_name_is_one_store_for_the_process() -> None:
    await open_backend("memory://").run(enqueue("a"))
    assert open_sync_backend("memory://").run(CountJobs(task=TASK)).waiting == 1


async def test_stores_are_told_apart_by_name_and_by_prefix() -> None:
    await open_backend("memory://one", prefix="p").run(enqueue("a"))
    counts = [
        (await open_backend(url, prefix=prefix).run(CountJobs(task=TASK))).waiting
        for url, prefix in (("memory://one", "p"), ("memory://one", None), ("memory://two", "p"), ("memory://", "p"))
    ]
    assert counts == [1, 0, 0, 0]


async def test_jobs_outlive_the_backend_that_made_them() -> None:
    first = open_backend("memory://jobs")
    await first.run(enqueue("a"))
    await first.close()
    assert (await open_backend("memory://jobs").run(CountJobs(task=TASK))).waiting == 1


@pytest.mark.parametrize("url", ["memory://a/b", "memory://a?x=1", "memory://user@a", "memory://a:1"])
def test_a_url_with_more_than_a_name_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="memory://name"):
        open_backend(url)


async def test_a_lease_ends_by_the_clock_of_the_backend() -> None:
    clock = HandClock()
    backend = MemoryBackend(clock=clock)
    await backend.run(enqueue("a"))
    await backend.run(exchange())
    extend = ExtendLeases(task=TASK, lease_ms=1000, leases=[Lease(job_id="a", token="T")])
    clock.at += 999
    assert await backend.run(extend) == (LeaseState.HELD,)
    clock.at += 1000
    assert await backend.run(extend) == (LeaseState.LOST,)


async def test_a_call_that_is_sent_again_after_its_lease_ended_has_lost_its_claim() -> None:
    clock = HandClock()
    backend = MemoryBackend(clock=clock)
    await backend.run(enqueue("a"))
    first = exchange()
    await backend.run(first)
    clock.at += 999
    assert [claim.job_id for claim in (await backend.run(first.again())).claims] == ["a"]
    clock.at += 1000
    assert (await backend.run(first.again())).claims == ()


async def test_an_outcome_after_the_lease_ended_is_lost_and_the_job_is_recovered() -> None:
    clock = HandClock()
    backend = MemoryBackend(clock=clock)
    await backend.run(enqueue("a"))
    await backend.run(exchange())
    sweep = RecoverStalled(task=TASK, max_count=1)
    await backend.run(sweep)
    clock.at += 1000
    late = Outcome(kind=OutcomeKind.COMPLETED, job_id="a", token="T")
    assert (await backend.run(exchange(slots=0, outcomes=(late,)))).settlements == (Settlement.LOST,)
    assert (await backend.run(sweep)).recovered == ("a",)


async def test_a_clock_that_is_moved_by_hand_ends_the_waiting_for_a_due_job() -> None:
    clock = HandClock()
    backend = MemoryBackend(clock=clock)
    await backend.run(enqueue("a", delay_ms=LONG_MS))
    waiting = asyncio.create_task(backend.wait_for_work(TASK, timeout_ms=10 * LONG_MS, now_ms=clock.at))
    await asyncio.sleep(0)
    backend.notify_time()
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.at += LONG_MS
    backend.notify_time()
    await waiting


async def test_a_clock_that_is_moved_by_hand_ends_the_waiting_for_nothing() -> None:
    clock = HandClock()
    backend = MemoryBackend(clock=clock)
    waiting = asyncio.create_task(backend.wait_for_work(TASK, timeout_ms=LONG_MS, now_ms=clock.at))
    await asyncio.sleep(0)
    clock.at += LONG_MS
    backend.notify_time()
    await waiting


async def test_a_clock_that_stands_still_does_not_make_a_lane_spin() -> None:
    clock = HandClock()
    backend = MemoryBackend(clock=clock)
    await backend.run(enqueue("a", delay_ms=1))
    waiting = asyncio.create_task(backend.wait_for_work(TASK, timeout_ms=LONG_MS, now_ms=clock.at))
    _, pending = await asyncio.wait([waiting], timeout=0.02)
    assert pending == {waiting}
    clock.at += 1
    backend.notify_time()
    await waiting


async def test_the_wall_clock_ends_the_waiting_for_a_due_job() -> None:
    backend = MemoryBackend()
    await backend.run(enqueue("a", delay_ms=5))
    await backend.wait_for_work(TASK, timeout_ms=LONG_MS, now_ms=0)
    assert len((await backend.run(exchange())).claims) == 1


async def test_one_token_wakes_the_lane_that_waited_longest() -> None:
    backend = MemoryBackend()
    lanes = [asyncio.create_task(backend.wait_for_work(TASK, timeout_ms=LONG_MS, now_ms=0)) for _ in range(3)]
    await asyncio.sleep(0)
    await backend.run(enqueue("a", "b", "c"))
    await asyncio.wait([lanes[0]])
    await asyncio.sleep(0)
    assert [lane.done() for lane in lanes] == [True, False, False]
    await backend.close()
    await asyncio.gather(*lanes, return_exceptions=True)


async def test_a_lane_that_is_cancelled_with_the_token_in_hand_passes_it_on() -> None:
    backend = MemoryBackend()
    first, second = (asyncio.create_task(backend.wait_for_work(TASK, timeout_ms=LONG_MS, now_ms=0)) for _ in range(2))
    await asyncio.sleep(0)
    backend.blocking().run(enqueue("a"))  # the token is on its way to the first one
    first.cancel()
    await second
    assert first.cancelled()


async def test_closing_ends_everything_that_waits() -> None:
    backend = MemoryBackend()
    feed = backend.open_feed()

    async def listen() -> None:
        async with backend.cancellations([TASK]) as messages:
            await anext(messages)

    waits: list[asyncio.Task[Any]] = [
        asyncio.create_task(listen()),
        asyncio.create_task(feed.read({TASK: "0-0"}, block_ms=LONG_MS)),
        asyncio.create_task(backend.wait_for_work(TASK, timeout_ms=LONG_MS, now_ms=0)),
    ]
    _, pending = await asyncio.wait(waits, timeout=0)
    assert len(pending) == 3
    await asyncio.sleep(0)
    await backend.close()
    ends = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(end) for end in ends] == [BackendError] * 3


def test_lanes_of_several_event_loops_share_the_work() -> None:
    backend = MemoryBackend()
    claimed: list[Claim] = []

    async def lane(name: str) -> None:
        while len(claimed) < 40:
            await backend.wait_for_work(TASK, timeout_ms=20, now_ms=0)
            claimed.extend((await backend.run(exchange(name))).claims)

    threads = [threading.Thread(target=asyncio.run, args=(lane(name),)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    sync = backend.blocking()
    for number in range(40):
        sync.run(enqueue(f"job-{number}"))
    for thread in threads:
        thread.join()
    assert sorted(claim.job_id for claim in claimed) == sorted(f"job-{number}" for number in range(40))


def test_operations_of_many_threads_are_atomic() -> None:
    sync = MemoryBackend().blocking()

    def dispatch(name: str) -> None:
        for number in range(200):
            sync.run(enqueue(f"{name}-{number}", "contested"))

    threads = [threading.Thread(target=dispatch, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sync.run(CountJobs(task=TASK)).waiting == 801
    jobs = sync.run(ListJobs(task=TASK, state=JobState.WAITING, limit=1000)).records
    assert len({job.job_id for job in jobs}) == 801


async def test_an_event_loop_that_is_gone_does_not_keep_the_token() -> None:
    backend = MemoryBackend()
    loop = asyncio.new_event_loop()
    left_behind: list[str] = []
    loop.set_exception_handler(lambda _, context: left_behind.append(context["message"]))
    task = loop.create_task(backend.wait_for_work(TASK, timeout_ms=LONG_MS, now_ms=0))
    await asyncio.to_thread(loop.run_until_complete, asyncio.sleep(0))
    del task
    lane = asyncio.create_task(backend.wait_for_work(TASK, timeout_ms=LONG_MS, now_ms=0))
    await asyncio.sleep(0)
    loop.close()
    await backend.run(enqueue("a"))
    await lane
    del backend, lane
    gc.collect()  # what was left behind is reported now, and not in the middle of another test
    assert left_behind == ["Task was destroyed but it is pending!"]


def test_the_token_is_handed_over_before_its_owner_wakes() -> None:
    seen: list[int | None] = []

    class Hasty:
        def wake(self) -> bool:
            seen.append(seeker.look_at_ms)
            return True

    marker = Marker()
    seeker = Seeker(Hasty())
    marker.seek(seeker)
    marker.set(7)
    marker.deliver()
    assert seen == [7]


async def test_it_says_when_there_is_something_to_do_next() -> None:
    clock = HandClock()
    backend = MemoryBackend(clock=clock)
    assert backend.next_due_ms(TASK) is None
    await backend.run(enqueue("first"))
    assert backend.next_due_ms(TASK) == clock.at
    await backend.run(enqueue("later", delay_ms=5000))
    assert backend.next_due_ms(TASK) == clock.at + 5000
    clock.at += 5000
    assert backend.next_due_ms(TASK) == clock.at


async def test_a_delayed_job_can_be_made_due() -> None:
    backend = MemoryBackend(clock=HandClock())
    await backend.run(enqueue("later", delay_ms=5000))
    assert backend.make_due(TASK, "later")
    assert not backend.make_due(TASK, "nobody")
    assert [claim.job_id for claim in (await backend.run(exchange())).claims] == ["later"]


async def test_what_was_cleared_is_gone_and_those_who_wait_or_follow_go_on() -> None:
    backend = MemoryBackend(clock=HandClock())
    feed = backend.open_feed()
    await backend.run(enqueue("before"))
    (event,) = await feed.read({TASK: "0-0"}, block_ms=0)
    waiting = asyncio.create_task(backend.wait_for_work("other", timeout_ms=LONG_MS, now_ms=0))
    await asyncio.sleep(0)
    backend.clear()
    assert (await backend.run(CountJobs(task=TASK))).waiting == 0
    assert (await backend.run(exchange())).claims == ()
    await backend.run(enqueue("after"))
    assert [later.job_id for later in await feed.read({TASK: event.position}, block_ms=0)] == ["after"]
    await backend.run(Enqueue(task="other", version=1, max_attempts=1, jobs=[NewJob(job_id="x", data=b"1")]))
    await waiting


async def test_the_records_of_ended_workflows_do_not_pile_up() -> None:
    clock = HandClock()
    backend = MemoryBackend(clock=clock)
    for number in range(100):
        workflow_id, job_id = f"w{number}", f"j{number}"
        step = WorkflowStep(task=TASK, deps=(), job_id=job_id, version=1, data=b"1")
        graph = WorkflowGraph(steps=(step,), terminal=(0,), name="test")
        await backend.run(CreateWorkflow(workflow_id=workflow_id, graph=graph))
        if number % 2:
            result = StepResult(step=0, job_id=job_id, result=b"1")
            await backend.run(AdvanceWorkflow(workflow_id=workflow_id, results=(result,)))
        else:
            await backend.run(StopWorkflow(workflow_id=workflow_id, state="cancelled", message="enough"))
        clock.at += KEEP_STOPPED_MS // 10
    assert len(backend._store._workflows._stored) == 6  # of seven days, or of one
