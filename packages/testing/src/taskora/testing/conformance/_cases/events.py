"""The streams that tell what happens, and reading them."""

import asyncio

from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import TASK, Subject, completed, enqueueing, job
from taskora.wire import LastEvent, StreamEvent

OTHER = "other"
LONG_MS = 300_000  # longer than a test may take: what should have ended the waiting did
THREAD_MS = 10_000  # nothing can end the wait of a thread early; an empty reply fails the case


class TestEvents(Cases):
    """The streams that tell what happens, and reading them."""

    async def test_an_empty_stream_starts_at_zero(self, subject: Subject) -> None:
        assert await subject.run(LastEvent(task=TASK)) == "0-0"
        assert await subject.read({TASK: "0-0"}) == []

    async def test_an_event_has_a_position_after_the_one_before(self, subject: Subject) -> None:
        await subject.enqueue("a", "b")
        first, second = await subject.read({TASK: "0-0"})
        assert first == StreamEvent(task=TASK, position=first.position, name="waiting", job_id="a", fields={})
        assert await subject.run(LastEvent(task=TASK)) == second.position
        assert await subject.read({TASK: first.position}) == [second]
        assert await subject.read({TASK: second.position}) == []

    async def test_reading_goes_on_where_it_stopped(self, subject: Subject) -> None:
        await subject.enqueue(*"abcde")
        position = "0-0"
        seen: list[str] = []
        while events := await subject.read({TASK: position}, limit=2):
            assert len(events) <= 2
            seen += [event.job_id for event in events]
            position = events[-1].position
        assert seen == [*"abcde"]

    async def test_one_read_covers_several_tasks_each_from_its_own_position(self, subject: Subject) -> None:
        await subject.enqueue("a", "b")
        enqueue = enqueueing("x", "y")
        await subject.run(type(enqueue)(task=OTHER, version=1, max_attempts=1, jobs=enqueue.jobs))
        [first, _] = await subject.read({TASK: "0-0"})
        events = await subject.read({TASK: first.position, OTHER: "0-0"})
        assert [(event.task, event.job_id) for event in events] == [(TASK, "b"), (OTHER, "x"), (OTHER, "y")]

    async def test_the_limit_of_a_read_is_per_task(self, subject: Subject) -> None:
        await subject.enqueue(*"abc")
        enqueue = enqueueing(*"xyz")
        await subject.run(type(enqueue)(task=OTHER, version=1, max_attempts=1, jobs=enqueue.jobs))
        events = await subject.read({TASK: "0-0", OTHER: "0-0"}, limit=2)
        assert [event.job_id for event in events] == ["a", "b", "x", "y"]

    async def test_a_life_is_told_in_order(self, subject: Subject) -> None:
        await subject.enqueue(job("a", delay_ms=5))
        subject.advance(5)
        await subject.exchange(slots=1)
        await subject.settle(completed("a"))
        assert await subject.events() == ["delayed a", "promoted a", "active a attempt=1", "completed a attempt=1"]

    async def test_a_blocked_read_sees_an_event_as_it_happens(self, async_subject: Subject) -> None:
        feed = async_subject.backend.open_feed()
        reading = asyncio.create_task(feed.read({TASK: "0-0", OTHER: "0-0"}, block_ms=LONG_MS))
        await asyncio.sleep(0)
        await async_subject.enqueue("a")
        assert [event.job_id for event in await reading] == ["a"]
        await feed.close()

    async def test_a_blocked_read_ends_with_its_time(self, async_subject: Subject) -> None:
        feed = async_subject.backend.open_feed()
        assert await feed.read({TASK: "0-0"}, block_ms=5) == []
        assert await feed.read({}, block_ms=5) == []
        await feed.close()

    async def test_a_blocked_read_can_be_interrupted(self, async_subject: Subject) -> None:
        feed = async_subject.backend.open_feed()
        for positions in ({TASK: "0-0"}, {}, {TASK: "0-0"}):
            reading = asyncio.create_task(feed.read(positions, block_ms=LONG_MS))
            await asyncio.sleep(0)
            await feed.interrupt()
            assert await reading == []
        await feed.close()

    async def test_a_feed_reads_on_after_an_interruption(self, async_subject: Subject) -> None:
        feed = async_subject.backend.open_feed()
        reading = asyncio.create_task(feed.read({TASK: "0-0"}, block_ms=LONG_MS))
        await asyncio.sleep(0)
        await feed.interrupt()
        await reading
        await async_subject.enqueue("a")
        assert [event.job_id for event in await feed.read({TASK: "0-0"}, block_ms=LONG_MS)] == ["a"]
        await feed.close()

    async def test_feeds_do_not_interrupt_each_other(self, async_subject: Subject) -> None:
        one, two = async_subject.backend.open_feed(), async_subject.backend.open_feed()
        first = asyncio.create_task(one.read({TASK: "0-0"}, block_ms=LONG_MS))
        second = asyncio.create_task(two.read({TASK: "0-0"}, block_ms=LONG_MS))
        await asyncio.sleep(0)
        await one.interrupt()
        assert await first == []
        await async_subject.enqueue("a")
        assert len(await second) == 1
        await one.close()
        await two.close()

    async def test_a_thread_sees_an_event_as_it_happens(self, async_subject: Subject) -> None:
        sync = async_subject.backend.blocking()
        reading = asyncio.create_task(asyncio.to_thread(sync.read_events, {TASK: "0-0"}, block_ms=THREAD_MS))
        await async_subject.enqueue("a")
        assert [event.job_id for event in await reading] == ["a"]
        sync.close()
