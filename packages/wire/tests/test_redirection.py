"""Sending backends elsewhere for a while."""

import asyncio
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from uuid import uuid4

import pytest
import redis

from taskora.contracts import BackendError, UsageError
from taskora.wire import CountJobs, Enqueue, NewJob
from taskora.wire.backends import MemoryBackend, open_backend, open_sync_backend, redirected

TASK = "work"
NOBODY = "redis://127.0.0.1:1/0"


def enqueue(job_id: str) -> Enqueue:
    return Enqueue(task=TASK, version=1, max_attempts=1, jobs=[NewJob(job_id=job_id, data=b"1")])


@contextmanager
def elsewhere() -> Generator[dict[str | None, MemoryBackend]]:
    stores: dict[str | None, MemoryBackend] = {}
    with redirected(lambda prefix: stores.setdefault(prefix, MemoryBackend())):
        yield stores


def waiting(backend: MemoryBackend) -> int:
    return backend.blocking().run(CountJobs(task=TASK)).waiting


async def test_a_backend_that_was_made_before_goes_elsewhere_and_comes_back() -> None:
    url = f"memory://{uuid4().hex}"
    backend, sync = open_backend(url), open_sync_backend(url)
    await backend.run(enqueue("a"))
    with elsewhere() as stores:
        await backend.run(enqueue("b"))
        sync.run(enqueue("c"))
        backend.blocking().run(enqueue("d"))
        assert waiting(stores[None]) == 3
    assert sync.run(CountJobs(task=TASK)).waiting == 1
    assert (await backend.run(CountJobs(task=TASK))).waiting == 1


async def test_a_server_that_is_not_there_is_not_missed() -> None:
    with elsewhere() as stores, redis.Redis(port=1) as client:
        for target in (NOBODY, client):
            await open_backend(target).run(enqueue(f"a{type(target)}"))
            open_sync_backend(target).run(enqueue(f"s{type(target)}"))
        assert waiting(stores[None]) == 4


async def test_what_was_made_meanwhile_is_itself_again_afterwards() -> None:
    url = f"memory://{uuid4().hex}"
    with elsewhere():
        backend = open_backend(url)
        await backend.run(enqueue("a"))
    assert (await backend.run(CountJobs(task=TASK))).waiting == 0


async def test_prefixes_stay_apart() -> None:
    with elsewhere() as stores:
        await open_backend(NOBODY, prefix="one").run(enqueue("a"))
        await open_backend(NOBODY, prefix="two").run(enqueue("a"))
        assert {prefix: waiting(store) for prefix, store in stores.items()} == {"one": 1, "two": 1}


async def test_a_feed_follows_and_comes_back() -> None:
    backend = open_backend(f"memory://{uuid4().hex}")
    feed = backend.open_feed()
    await backend.run(enqueue("real"))
    with elsewhere():
        await backend.run(enqueue("other"))
        assert [event.job_id for event in await feed.read({TASK: "0-0"}, block_ms=1)] == ["other"]
    assert [event.job_id for event in await feed.read({TASK: "0-0"}, block_ms=1)] == ["real"]
    await feed.close()


async def test_waiting_for_work_and_for_cancellations_happens_elsewhere() -> None:
    backend = open_backend(NOBODY)
    with elsewhere():
        waiter = asyncio.create_task(backend.wait_for_work(TASK, timeout_ms=10_000, now_ms=0))
        await asyncio.sleep(0)
        await backend.run(enqueue("a"))
        await waiter
        async with backend.cancellations([TASK]):
            pass


async def test_a_closed_backend_stays_closed() -> None:
    backend, sync = open_backend("memory://"), open_sync_backend("memory://")
    await backend.close()
    sync.close()
    with elsewhere():
        with pytest.raises(BackendError, match="closed"):
            await backend.run(enqueue("a"))
        with pytest.raises(BackendError, match="closed"):
            sync.run(enqueue("a"))


async def test_a_backend_that_somebody_made_is_used_as_it_is() -> None:
    own = MemoryBackend()
    with elsewhere() as stores:
        await open_backend(own).run(enqueue("a"))
        assert stores == {}
    assert waiting(own) == 1


async def test_no_embedded_server_is_started_for_who_is_sent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskora.wire.backends._embedded.EmbeddedServer", None)
    with elsewhere():
        backend, sync = open_backend("embedded:///never"), open_sync_backend("embedded:///never")
        await backend.run(enqueue("a"))
        sync.run(enqueue("b"))
        await backend.close()
        sync.close()
    with pytest.raises(BackendError, match="closed"):
        await backend.run(enqueue("a"))


def test_one_redirection_at_a_time() -> None:
    with elsewhere(), pytest.raises(UsageError, match="redirected already"), elsewhere():
        pass


@pytest.mark.parametrize("url", ["nope://", "redis://x:0", "embedded://host"])
def test_a_bad_url_is_refused_as_ever(url: str) -> None:
    with pytest.raises(UsageError):
        open_backend(url)


def test_threads_that_come_first_at_the_same_time_meet_in_one_place() -> None:
    both, made = threading.Barrier(2), list[MemoryBackend]()

    def make(_prefix: str | None) -> MemoryBackend:
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.2)  # whoever asks beside us has the time to
        made.append(MemoryBackend())
        return made[-1]

    with redirected(make), ThreadPoolExecutor(2) as threads:
        operations = [enqueue("a"), enqueue("b")]
        list(threads.map(open_sync_backend(NOBODY).run, operations))
    assert [waiting(backend) for backend in made] == [2]
