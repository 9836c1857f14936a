"""Producers and workers go on with the new master."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from taskora.contracts import BackendError, define_task
from taskora.producer import AsyncProducer, Producer
from taskora.wire import CountJobs
from taskora.wire.backends import open_backend, open_sync_backend
from taskora.worker import Worker
from tests.polling import aeventually
from tests.sentinels import Watched, watched
from tests.servers import ServerMissingError

WAYS = ["fast", "redis-py"]
PATIENCE_S = 40.0

double = define_task("double", input=int, output=int)


@pytest.fixture
def pair() -> Iterator[Watched]:
    """Servers and sentinels of one test."""
    try:
        with watched("valkey9") as found:
            yield found
    except ServerMissingError as error:
        pytest.skip(str(error))


async def dispatched(producer: AsyncProducer, number: int) -> str:
    """Dispatches until a master takes it; the id makes a repetition the same job."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return (await producer.register(double).dispatch(number, job_id=f"job-{number}")).id
            except BackendError:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("transport", WAYS)
async def test_a_worker_and_its_producer_follow_a_failover(sentinels: Watched, transport: str) -> None:
    with sentinels.client(sentinels.master()) as client:
        client.flushall()
    url = sentinels.with_options(transport=transport)
    ran: set[int] = set()
    worker = Worker(url)

    async def handle(data: int) -> int:
        ran.add(data)
        return data * 2

    worker.implement(double, handle)
    before = sentinels.master()
    async with worker, AsyncProducer(url) as producer:
        for number in range(5):
            await dispatched(producer, number)
        await asyncio.to_thread(sentinels.fail_over)
        assert sentinels.master() != before
        for number in range(5, 10):
            await dispatched(producer, number)
        await aeventually(lambda: ran >= set(range(5, 10)), PATIENCE_S)
        job = producer.register(double).job("job-9")
        assert await job.result(timeout="20s") == 18


def test_threads_follow_a_failover(sentinels: Watched) -> None:
    with Producer(sentinels.url) as producer:
        bound = producer.register(define_task("threads", input=int))
        bound.dispatch(1)
        before = sentinels.master()
        sentinels.fail_over()
        assert sentinels.master() != before
        assert bound.dispatch(2).state() == "waiting"


@pytest.mark.parametrize("transport", WAYS)
async def test_a_master_that_dies_is_replaced_by_its_replica(pair: Watched, transport: str) -> None:
    url = pair.with_options(transport=transport)
    backend, sync = open_backend(url), open_sync_backend(url)
    async with AsyncProducer(backend) as producer:
        await dispatched(producer, 1)
        assert sync.run(CountJobs(task="double")).waiting == 1
        before = pair.master()
        with pair.client(before) as client:
            client.wait(1, 5000)
        os.kill(before.pid, signal.SIGKILL)
        with pytest.raises(BackendError, match="cannot be reached"):
            await asyncio.wait_for(backend.run(CountJobs(task="double")), PATIENCE_S)
        await asyncio.to_thread(pair.await_other_master, before)
        await dispatched(producer, 2)
        assert (await backend.run(CountJobs(task="double"))).waiting == 2
        assert sync.run(CountJobs(task="double")).waiting == 2
    await backend.close()
    sync.close()
