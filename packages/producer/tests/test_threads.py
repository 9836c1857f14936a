"""The synchronous producer: threads, forks, signals, and no event loop anywhere."""

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from packages.producer.tests.playing import Order, Player, Receipt, Storage, orders, wait_until_blocked
from taskora.contracts import BackendError, JobTimeoutError, UnknownJobError, UsageError
from taskora.producer import Producer
from taskora.wire import ReadStatuses
from taskora.wire.backends import MemoryBackend
from tests.polling import eventually


def run_script(body: str, url: str) -> str:
    """Run a program of its own, with warnings as errors, and return what it printed."""
    head = """
        import sys
        from taskora.contracts import define_task
        from taskora.producer import Producer
        url = sys.argv[1]
        numbers = define_task("numbers", input=int, output=int)
    """
    program = textwrap.dedent(head) + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, url], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_ten_threads_share_one_producer(storage: Storage, player: Player) -> None:
    with Producer(storage.url) as producer, ThreadPoolExecutor(10) as pool:
        task = producer.register(orders)
        barrier = threading.Barrier(10)

        def follow(number: int) -> tuple[str, Receipt]:
            barrier.wait(30)
            handle = task.dispatch(Order(str(number)))
            return handle.id, handle.result(timeout="30s")

        follows = [pool.submit(follow, number) for number in range(10)]
        done: dict[str, int] = {}
        while len(done) < 10:
            for claim in eventually(lambda: player.claim(slots=10), deadline=30):
                done[claim.job_id] = len(done)
                _complete(player, claim, done[claim.job_id])
        for job_id, receipt in (future.result(30) for future in follows):
            assert receipt == Receipt(done[job_id])


def _complete(player: Player, claim: Any, total: int) -> None:
    from taskora.wire import OutcomeKind

    player.settle(claim, OutcomeKind.COMPLETED, b'{"total":%d}' % total)


def test_registering_from_many_threads_gives_one_task() -> None:
    producer = Producer("redis://127.0.0.1:1")
    barrier = threading.Barrier(8)

    def register(_number: int) -> Any:
        barrier.wait(30)
        return producer.register(orders)

    with ThreadPoolExecutor(8) as pool:
        assert len({id(task) for task in pool.map(register, range(8))}) == 1


def test_a_forked_child_dispatches_with_the_producer_it_inherited(redis_storage: Storage) -> None:
    body = """
        import os, threading
        producer = Producer(url)
        task = producer.register(numbers)
        task.dispatch(0, job_id="before")
        lines = []
        for number in range(5):
            child = os.fork()
            if child == 0:
                handle = task.dispatch(number, job_id=f"child-{number}")
                os._exit(0 if handle.enqueued and handle.state() == "waiting" else 1)
            parent = task.dispatch(number, job_id=f"parent-{number}")
            assert parent.enqueued
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert producer.inspector.stats()["numbers"].waiting == 11
        producer.close()
        print("done")
    """
    assert run_script(body, redis_storage.url) == "done\n"


def test_a_process_pool_that_forks_works_on_both_sides(redis_storage: Storage) -> None:
    body = """
        import multiprocessing
        producer = Producer(url)
        task = producer.register(numbers)
        task.dispatch(0)
        def send(number):
            return task.dispatch(number).id
        with multiprocessing.get_context("fork").Pool(3) as pool:
            ids = pool.map(send, range(20))
            pool.close()
            pool.join()
        assert len(set(ids)) == 20
        assert producer.inspector.stats()["numbers"].waiting == 21
        producer.close()
        print("done")
    """
    assert run_script(body, redis_storage.url) == "done\n"


def test_no_event_loop_is_needed_or_started(redis_storage: Storage) -> None:
    body = """
        import asyncio
        def refuse(*args, **kwargs):
            raise AssertionError("an event loop was started")
        asyncio.new_event_loop = refuse
        with Producer(url) as producer:
            task = producer.register(numbers)
            handle = task.dispatch(1)
            handle.cancel()
            producer.inspector.find(handle.id)
            print(handle.state())
    """
    assert run_script(body, redis_storage.url) == "cancelled\n"


def test_a_producer_works_within_a_running_loop_too(redis_storage: Storage) -> None:
    body = """
        import asyncio
        async def main():
            with Producer(url) as producer:
                print(producer.register(numbers).dispatch(1).state())
        asyncio.run(main())
    """
    assert run_script(body, redis_storage.url) == "waiting\n"


def test_an_interrupted_wait_leaves_the_producer_usable(redis_storage: Storage) -> None:
    body = """
        import signal, threading, redis
        client = redis.Redis.from_url(url)
        def blocked():
            return any("b" in c["flags"] for c in client.client_list())
        def interrupt():
            while not blocked():
                pass
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        with Producer(url) as producer:
            task = producer.register(numbers)
            for _ in range(3):
                while blocked():
                    pass
                handle = task.dispatch(1)
                thread = threading.Thread(target=interrupt)
                thread.start()
                try:
                    handle.result(timeout="30s")
                except KeyboardInterrupt:
                    print(handle.state())
                thread.join()
        client.close()
    """
    assert run_script(body, redis_storage.url) == "waiting\n" * 3


def in_thread(work: Callable[[], object]) -> Any:
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


def test_a_wait_outlasts_lost_connections(redis_storage: Storage, redis_player: Player) -> None:
    with Producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        handle = producer.register(orders).dispatch(Order("a"))
        wait = in_thread(lambda: handle.result(timeout="30s"))
        for _ in range(3):
            for client in wait_until_blocked(raw):
                raw.client_kill_filter(_id=client["id"])
        wait_until_blocked(raw)
        redis_player.complete()
        assert wait.result(30) == Receipt(7)


def test_an_event_that_is_missed_is_found_by_looking_again(
    redis_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskora.producer._awaiting.RECHECK_MS", 30)
    with Producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        handle = producer.register(orders).dispatch(Order("a"))
        wait = in_thread(lambda: handle.result(timeout="30s"))
        wait_until_blocked(raw)
        raw.hset(f"taskora:{{orders}}:{handle.id}", mapping={"state": "completed", "result": '{"total":1}'})
        assert wait.result(30) == Receipt(1)


def test_a_job_that_is_deleted_ends_the_wait_even_in_a_busy_stream(
    redis_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskora.producer._awaiting.RECHECK_MS", 30)
    with Producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        handle = producer.register(orders).dispatch(Order("a"))
        wait = in_thread(lambda: handle.result(timeout="30s"))
        wait_until_blocked(raw)
        raw.delete(f"taskora:{{orders}}:{handle.id}")

        def noise() -> bool:
            raw.xadd("taskora:{orders}:events", {"event": "progress", "jobId": "other", "value": "1"})
            return bool(wait.done())

        eventually(noise, deadline=30)
        with pytest.raises(UnknownJobError):
            wait.result()


def test_closing_ends_the_waits_of_other_threads(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskora.producer._awaiting.RECHECK_MS", 30)
    producer = Producer(storage.url)
    handle = producer.register(orders).dispatch(Order("a"))
    begun = threading.Event()
    run = producer._session.backend.run

    def spy(operation: Any) -> Any:
        if isinstance(operation, ReadStatuses):
            begun.set()
        return run(operation)

    producer._session.backend.run = spy  # type: ignore[method-assign]
    wait = in_thread(handle.result)
    assert begun.wait(30)
    producer.close()
    with pytest.raises(UsageError, match="this producer is closed"):
        wait.result(30)


def test_closing_between_a_wait_and_its_first_look_says_that_the_producer_is_closed(redis_storage: Storage) -> None:
    producer = Producer(redis_storage.url)
    handle = producer.register(orders).dispatch(Order("a"))
    run = producer._session.backend.run

    def close_and_run(operation: Any) -> Any:
        if isinstance(operation, ReadStatuses):
            producer.close()
        return run(operation)

    producer._session.backend.run = close_and_run  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="this producer is closed"):
        handle.result(timeout="20s")


class Spy:
    """A backend that is another one, until the test breaks something."""

    def __init__(self) -> None:
        self.inner = MemoryBackend().blocking()
        self.feed_error: Exception | None = None
        self.status_error: Exception | None = None
        self.begun = threading.Event()

    def run(self, operation: Any) -> Any:
        if self.status_error is not None and isinstance(operation, ReadStatuses):
            raise self.status_error
        return self.inner.run(operation)

    def read_events(self, positions: Any, *, block_ms: int, limit: int = 100) -> Any:
        self.begun.set()
        if self.feed_error is not None:
            raise self.feed_error
        return self.inner.read_events(positions, block_ms=min(block_ms, 20), limit=limit)

    def close(self) -> None:
        self.inner.close()


def test_a_feed_that_never_works_still_leaves_looking_again() -> None:
    spy = Spy()
    spy.feed_error = BackendError("XREAD is not allowed")
    with Producer(spy) as producer:
        handle = producer.register(orders).dispatch(Order("a"))
        wait = in_thread(lambda: handle.result(timeout="30s"))
        spy.begun.wait(30)
        Player(spy.inner).complete()
        assert wait.result(30) == Receipt(7)


def test_a_wait_that_begins_without_a_server_fails_at_once() -> None:
    spy = Spy()
    spy.status_error = BackendError("away")
    with Producer(spy) as producer:
        for timeout in (None, 0, 30):
            with pytest.raises(BackendError, match="away"):
                producer.register(orders).job("x").result(timeout=timeout)


def test_a_wait_that_has_begun_outlasts_an_outage_until_its_deadline() -> None:
    spy = Spy()
    with Producer(spy) as producer:
        handle = producer.register(orders).dispatch(Order("a"))
        wait = in_thread(lambda: handle.result(timeout="300ms"))
        spy.begun.wait(30)
        spy.feed_error = spy.status_error = BackendError("away")
        with pytest.raises(JobTimeoutError) as caught:
            wait.result(30)
        assert isinstance(caught.value.__cause__, BackendError)


def test_a_wait_that_has_begun_outlasts_an_outage_and_then_ends() -> None:
    spy = Spy()
    with Producer(spy) as producer:
        handle = producer.register(orders).dispatch(Order("a"))
        wait = in_thread(lambda: handle.result(timeout="30s"))
        spy.begun.wait(30)
        spy.feed_error = spy.status_error = BackendError("away")
        spy.begun.clear()
        spy.begun.wait(30)
        Player(spy.inner).complete()
        spy.feed_error = spy.status_error = None
        assert wait.result(30) == Receipt(7)
