"""Waking workers, and telling them what to cancel. Only asyncio offers this."""

import asyncio
from contextlib import suppress

from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import TASK, Subject, ids, job, released, retrying
from taskora.wire import Cancel, Cancellation, Exchanged, RetryDead

LONG_MS = 300_000  # longer than a test may take: what should have ended the waiting did


async def seek(subject: Subject, *, timeout_ms: int = LONG_MS) -> None:
    await subject.backend.wait_for_work(TASK, timeout_ms=timeout_ms, now_ms=subject.now_ms())


async def work(subject: Subject, token: str) -> Exchanged:
    """What a lane does: waits, then claims."""
    await seek(subject)
    return await subject.exchange(token, slots=1)


class TestWaiting(Cases):
    """Waking workers, and telling them what to cancel. Only asyncio offers this."""

    async def test_waiting_ends_at_once_when_work_is_there(self, async_subject: Subject) -> None:
        await async_subject.enqueue("a")
        await seek(async_subject)
        assert ids(await async_subject.exchange(slots=1)) == ["a"]

    async def test_a_new_job_wakes_a_waiting_lane(self, async_subject: Subject) -> None:
        lane = asyncio.create_task(work(async_subject, "T"))
        await asyncio.sleep(0)
        await async_subject.enqueue("a")
        assert ids(await lane) == ["a"]

    async def test_a_job_dispatched_by_a_thread_wakes_a_waiting_lane(self, async_subject: Subject) -> None:
        sync = async_subject.backend.blocking()
        threaded = Subject(storage=async_subject.storage, sync=sync)
        lane = asyncio.create_task(work(async_subject, "T"))
        await asyncio.sleep(0)
        await asyncio.to_thread(asyncio.run, threaded.enqueue("a"))
        assert ids(await lane) == ["a"]
        sync.close()

    async def test_waiting_ends_with_its_time(self, async_subject: Subject) -> None:
        await seek(async_subject, timeout_ms=5)

    async def test_waiting_ends_when_a_delayed_job_is_due(self, async_subject: Subject) -> None:
        await async_subject.enqueue(job("a", delay_ms=30))
        lane = asyncio.create_task(seek(async_subject))
        await asyncio.sleep(0)
        async_subject.advance(30)
        await lane
        assert ids(await async_subject.exchange(slots=1)) == ["a"]

    async def test_a_job_that_is_ready_wakes_a_lane_that_waits_for_a_later_one(self, async_subject: Subject) -> None:
        await async_subject.enqueue(job("later", delay_ms=LONG_MS))
        lane = asyncio.create_task(work(async_subject, "T"))
        await asyncio.sleep(0)
        await async_subject.enqueue("now")
        assert ids(await lane) == ["now"]

    async def test_every_way_back_into_the_queue_wakes(self, async_subject: Subject) -> None:
        await async_subject.claim("a", "b")
        with suppress(TimeoutError):
            await seek(async_subject, timeout_ms=1)  # the token of what was claimed
        lane = asyncio.create_task(seek(async_subject))
        await async_subject.settle(released("a"), retrying("b"))
        await lane
        await async_subject.exchange(slots=2)
        await async_subject.fail("c")
        lane = asyncio.create_task(seek(async_subject))
        await async_subject.run(RetryDead(task=TASK, job_ids=("c",)))
        await lane

    async def test_a_claim_that_leaves_work_behind_wakes_the_next_lane(self, async_subject: Subject) -> None:
        lanes = [asyncio.create_task(work(async_subject, f"T{number}")) for number in range(3)]
        await asyncio.sleep(0)
        await async_subject.enqueue("a", "b", "c")
        claimed = [ids(await lane) for lane in lanes]
        assert sorted(claimed) == [["a"], ["b"], ["c"]]

    async def test_a_lane_that_gives_up_waiting_leaves_the_token_to_others(self, async_subject: Subject) -> None:
        gone = asyncio.create_task(seek(async_subject))
        stays = asyncio.create_task(work(async_subject, "T"))
        await asyncio.sleep(0)
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
        await async_subject.enqueue("a")
        assert ids(await stays) == ["a"]

    async def test_a_request_to_cancel_an_active_job_is_delivered(self, async_subject: Subject) -> None:
        await async_subject.claim("a", "b")
        async with async_subject.backend.cancellations([TASK, "other"]) as messages:
            await async_subject.run(Cancel(task=TASK, job_id="b"))
            await async_subject.run(Cancel(task=TASK, job_id="a"))
            assert await anext(messages) == Cancellation(task=TASK, job_id="b")
            assert await anext(messages) == Cancellation(task=TASK, job_id="a")

    async def test_every_listener_hears_of_a_cancellation(self, async_subject: Subject) -> None:
        await async_subject.claim("a")
        backend = async_subject.backend
        async with backend.cancellations([TASK]) as one, backend.cancellations([TASK]) as two:
            first = asyncio.ensure_future(anext(one))
            await async_subject.run(Cancel(task=TASK, job_id="a"))
            assert await first == await anext(two) == Cancellation(task=TASK, job_id="a")

    async def test_a_job_that_was_cancelled_at_once_needs_no_message(self, async_subject: Subject) -> None:
        await async_subject.claim("runs")
        await async_subject.enqueue("waits")
        async with async_subject.backend.cancellations([TASK]) as messages:
            await async_subject.run(Cancel(task=TASK, job_id="waits"))
            await async_subject.run(Cancel(task=TASK, job_id="runs"))
            assert await anext(messages) == Cancellation(task=TASK, job_id="runs")
