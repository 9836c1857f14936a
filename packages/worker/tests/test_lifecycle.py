import asyncio
import json
from collections import Counter

import pytest

from packages.worker.tests.workbench import anything, double, find, reach
from taskora.contracts import ExpiredError, JobState, Ttl, define_task
from taskora.producer import Producer
from taskora.wire.backends import open_backend
from taskora.worker import Context, Defaults, Worker
from tests.polling import aeventually
from tests.servers import Server


async def test_the_result_is_stored_as_json(url: str) -> None:
    worker = Worker(url)
    shape = define_task("shape", input=dict[str, int], output=dict[str, list[int]])

    @worker.implement(shape)
    async def handle(data: dict[str, int]) -> dict[str, list[int]]:
        return {"values": [*data.values()]}

    async with worker:
        handle_ = await worker.register(shape).dispatch({"a": 1, "b": 2})
        assert len(handle_.id) == 36
        assert await handle_.result("5s") == {"values": [1, 2]}
        info = await find(worker, handle_.id)
    assert info.state is JobState.COMPLETED
    assert json.loads(info.fields["result"]) == {"values": [1, 2]}
    assert info.fields["result"] == b'{"values":[1,2]}'


async def test_one_slot_runs_jobs_in_the_order_of_dispatch(url: str) -> None:
    worker = Worker(url)
    seen: list[int] = []

    @worker.implement(double)
    async def handle(data: int) -> int:
        seen.append(data)
        return data

    handles = await worker.register(double).dispatch_many(range(20))
    async with worker:
        await asyncio.gather(*(handle.result("5s") for handle in handles))
    assert seen == [*range(20)]


@pytest.mark.parametrize("kind", ["async", "thread"])
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_worker_fills_its_slots_and_never_more(url: str, kind: str, concurrency: int) -> None:
    worker = Worker(url, defaults=Defaults(concurrency=concurrency))
    running: set[int] = set()
    most = 0
    full = asyncio.Event()
    loop = asyncio.get_running_loop()

    def enter(data: int) -> None:
        nonlocal most
        running.add(data)
        most = max(most, len(running))
        if len(running) == concurrency:
            loop.call_soon_threadsafe(full.set)

    async def in_loop(data: int) -> int:
        enter(data)
        await full.wait()
        running.discard(data)
        return data

    def in_thread(data: int, ctx: Context) -> int:
        enter(data)
        asyncio.run_coroutine_threadsafe(full.wait(), loop).result(5)
        running.discard(data)
        return data

    if kind == "async":
        worker.implement(double, in_loop)
    else:
        worker.implement(double, in_thread)
    async with worker:
        handles = await worker.register(double).dispatch_many(range(12))
        assert await asyncio.gather(*(handle.result("5s") for handle in handles)) == [*range(12)]
    assert most == concurrency


async def test_every_job_runs_once(url: str) -> None:
    worker = Worker(url)
    runs: Counter[int] = Counter()

    @worker.implement(double, concurrency=5)
    async def handle(data: int) -> int:
        runs[data] += 1
        return data

    async with worker:
        task = worker.register(double)
        single = await asyncio.gather(*(task.dispatch(number) for number in range(100)))
        batch = await task.dispatch_many(range(100, 300))
        await asyncio.gather(*(handle.result("10s") for handle in [*single, *batch]))
        stats = (await worker.producer.inspector.stats(double))["double"]
    assert runs == Counter(range(300))
    assert (stats.waiting, stats.active, stats.completed, stats.failed) == (0, 0, 300, 0)


async def test_a_delayed_job_waits_for_its_time(url: str) -> None:
    worker = Worker(url)
    seen: list[str] = []

    @worker.implement(anything)
    async def handle(data: object) -> None:
        seen.append(str(data))

    async with worker:
        task = worker.register(anything)
        late = await task.dispatch("late", delay="600ms")
        later = await task.dispatch("later", delay="700ms")
        assert await late.state() is JobState.DELAYED
        assert await (await task.dispatch("now")).result("5s") is None
        await asyncio.gather(late.result("5s"), later.result("5s"))
        assert seen == ["now", "late", "later"]
        info = await find(worker, late.id)
    assert info.processed_on_ms is not None
    assert info.processed_on_ms - info.timestamp_ms >= 600


async def test_a_higher_priority_always_leaves_first(url: str) -> None:
    worker = Worker(url)
    seen: list[object] = []

    @worker.implement(anything)
    async def handle(data: object) -> None:
        seen.append(data)

    task = worker.register(anything)
    items = [task.item(name, priority=int(name[0])) for name in ("0a", "5", "1", "0b", "9", "3", "0c")]
    handles = await task.dispatch_many(items)
    async with worker:
        await asyncio.gather(*(handle.result("5s") for handle in handles))
    assert seen == ["9", "5", "3", "1", "0a", "0b", "0c"]


async def test_a_job_that_is_dispatched_again_runs_once(url: str) -> None:
    worker = Worker(url)
    seen: list[object] = []

    @worker.implement(anything)
    async def handle(data: object) -> object:
        seen.append(data)
        return data

    async with worker:
        task = worker.register(anything)
        first = await task.dispatch("first", job_id="same")
        assert await first.result("5s") == "first"
        second = await task.dispatch("second", job_id="same")
        assert (first.enqueued, second.enqueued) == (True, False)
        assert await second.result("5s") == "first"
    assert seen == ["first"]


async def test_nothing_is_an_answer_and_a_payload(url: str) -> None:
    worker = Worker(url)
    seen: list[object] = []

    @worker.implement(anything)
    async def handle(data: object) -> None:
        seen.append(data)

    async with worker:
        job = await worker.register(anything).dispatch(None)
        assert await job.result("5s") is None
        info = await find(worker, job.id)
    assert seen == [None]
    assert (info.fields["data"], info.fields["result"]) == (b"null", b"null")


async def test_a_worker_takes_over_what_waited_before_it_started(url: str) -> None:
    first = Worker(url)
    task = first.register(double)
    handles = await task.dispatch_many(range(5))
    worker = Worker(url)

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data * 2

    async with worker:
        assert await asyncio.gather(*(handle.result("5s") for handle in handles)) == [0, 2, 4, 6, 8]
    await first.close()


async def test_workers_share_the_jobs_of_a_task(url: str) -> None:
    runs: Counter[int] = Counter()
    used: set[int] = set()
    everybody = asyncio.Event()

    def make(number: int) -> Worker:
        worker = Worker(url)

        @worker.implement(double, concurrency=2)
        async def handle(data: int) -> int:
            runs[data] += 1
            used.add(number)
            if len(used) == 3:
                everybody.set()
            await everybody.wait()
            return data

        return worker

    workers = [make(number) for number in range(3)]
    async with workers[0], workers[1], workers[2]:
        handles = await workers[0].register(double).dispatch_many(range(50))
        await asyncio.gather(*(handle.result("10s") for handle in handles))
    assert runs == Counter(range(50))


async def test_a_synchronous_producer_feeds_an_asynchronous_worker(url: str) -> None:
    worker = Worker(url)

    @worker.implement(double)
    async def handle(data: int) -> int:
        return data * 2

    def produce() -> int:
        with Producer(url) as producer:
            return producer.register(double).dispatch(4).result("5s")

    async with worker:
        assert await asyncio.to_thread(produce) == 8


async def test_a_prefix_separates_workers(one_server: Server) -> None:
    seen: list[str] = []

    def make(prefix: str | None) -> Worker:
        worker = Worker(one_server.url, prefix=prefix)

        @worker.implement(anything)
        async def handle(data: object) -> None:
            seen.append(f"{prefix} ran {data}")

        return worker

    one, two = make("one"), make(None)
    async with one, two:
        await (await one.register(anything).dispatch("1")).result("5s")
        await (await two.register(anything).dispatch("2")).result("5s")
    assert sorted(seen) == ["None ran 2", "one ran 1"]


async def test_a_backend_that_was_given_stays_open(url: str) -> None:
    backend = open_backend(url)
    for _ in range(2):
        worker = Worker(backend)

        @worker.implement(double)
        async def handle(data: int) -> int:
            return data * 2

        async with worker:
            assert await (await worker.register(double).dispatch(4)).result("5s") == 8
    await backend.close()


async def test_expired_jobs_are_not_run(url: str) -> None:
    worker = Worker(url)
    seen: list[object] = []
    task = worker.register(anything)
    stale = await task.dispatch("stale", ttl="1ms")
    await aeventually(lambda: _is_past(worker, stale.id, 1))

    @worker.implement(anything)
    async def handle(data: object) -> None:
        seen.append(data)

    async with worker:
        await (await task.dispatch("fresh", ttl="1h")).result("5s")
        await reach(worker, stale.id, JobState.EXPIRED)
    assert seen == ["fresh"]


async def test_jobs_that_were_dispatched_without_a_time_to_live_have_that_of_the_worker(url: str) -> None:
    worker = Worker(url)
    seen: list[object] = []
    task = worker.register(anything)
    stale, fresh = await task.dispatch("stale"), await task.dispatch("fresh", ttl="1h")
    await aeventually(lambda: _is_past(worker, fresh.id, 1))

    @worker.implement(anything, ttl=Ttl(max="1ms", on_expire="discard"))
    async def handle(data: object) -> None:
        seen.append(data)

    async with worker:
        await fresh.result("5s")
        with pytest.raises(ExpiredError):
            await stale.result("5s")
    assert seen == ["fresh"]


async def _is_past(worker: Worker, job_id: str, milliseconds: int) -> bool:
    """Whether the clock of the storage, as a newer job shows it, has moved on."""
    old = await find(worker, job_id)
    newer = await worker.register(define_task("clock", input=None)).dispatch(None)
    return (await find(worker, newer.id)).timestamp_ms > old.timestamp_ms + milliseconds
