"""Handles: following a job that was dispatched."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from packages.producer.tests.playing import Order, Player, Receipt, Storage, Surface, anything, orders
from packages.producer.tests.playing import surface as open_surface
from taskora.contracts import (
    ExpiredError,
    JobCancelledError,
    JobFailedError,
    JobState,
    JobTimeoutError,
    UnknownJobError,
    UsageError,
    ValidationError,
    define_task,
)
from taskora.wire import OutcomeKind
from tests.polling import eventually


def test_the_result_of_a_completed_job_is_typed(surface: Surface, task: Any, player: Player) -> None:
    handle = surface.do(task.dispatch(Order("a")))
    player.complete()
    assert surface.do(handle.result()) == Receipt(7)
    assert surface.do(handle.result(timeout=0)) == Receipt(7)
    assert surface.do(task.job(handle.id).result(timeout="5s")) == Receipt(7)


def test_a_failed_job_raises_its_error(surface: Surface, task: Any, player: Player) -> None:
    handle = surface.do(task.dispatch(Order("a")))
    player.retry(b"first")
    player.fail(b"no stock")
    with pytest.raises(JobFailedError, match="no stock") as caught:
        surface.do(handle.result())
    error = caught.value
    assert (error.job_id, error.task, error.error, error.attempts) == (handle.id, "orders", "no stock", 2)


@pytest.mark.parametrize(("given", "shown"), [("changed my mind", "changed my mind"), ("", None)])
def test_a_cancelled_job_raises_with_its_reason(surface: Surface, task: Any, given: str, shown: str | None) -> None:
    handle = surface.do(task.dispatch(Order("a")))
    assert surface.do(handle.cancel(reason=given)) is True
    with pytest.raises(JobCancelledError) as caught:
        surface.do(handle.result())
    assert (caught.value.job_id, caught.value.reason) == (handle.id, shown)


def test_an_expired_job_raises(surface: Surface, producer: Any, task: Any, player: Player) -> None:
    handle = surface.do(task.dispatch(Order("a"), ttl="1ms"))
    dispatched_ms = surface.do(producer.inspector.find(handle.id)).timestamp_ms
    eventually(lambda: time.time() * 1000 > dispatched_ms + 1)
    assert player.claim() == ()
    with pytest.raises(ExpiredError) as caught:
        surface.do(handle.result())
    assert caught.value.job_id == handle.id


def test_a_job_that_was_discarded_before_it_is_asked_for_raises(
    surface: Surface, producer: Any, task: Any, player: Player
) -> None:
    handle = surface.do(task.dispatch(Order("a"), ttl="1ms"))
    dispatched_ms = surface.do(producer.inspector.find(handle.id)).timestamp_ms
    eventually(lambda: time.time() * 1000 > dispatched_ms + 1)
    assert player.claim(on_expire="discard") == ()
    assert surface.do(handle.state()) == "expired"
    with pytest.raises(ExpiredError):
        surface.do(task.job(handle.id).result())
    assert surface.do(producer.inspector.find(handle.id)) is None
    assert surface.do(producer.inspector.expired()) == []


def test_a_job_that_never_was_raises_at_once(surface: Surface, task: Any) -> None:
    handle = task.job("nobody")
    with pytest.raises(UnknownJobError, match="No job 'nobody' in task 'orders'"):
        surface.do(handle.result())
    assert surface.do(handle.state()) is None
    assert surface.do(handle.progress()) is None
    assert surface.do(handle.logs()) == ()
    assert surface.do(handle.cancel()) is False


def test_a_job_that_was_deleted_raises(surface: Surface, producer: Any, task: Any, player: Player) -> None:
    handle = surface.do(task.dispatch(Order("a")))
    player.fail()
    assert surface.do(producer.dead_letters.discard(handle.id))
    with pytest.raises(UnknownJobError):
        surface.do(handle.result())


@pytest.mark.parametrize("raw", [b"", b"null"])
@pytest.mark.parametrize("output", [None, object, int | None])
def test_an_empty_result_reads_as_none(
    surface: Surface, producer: Any, player: Player, raw: bytes, output: Any
) -> None:
    kinds: dict[str, Any] = {"output": output}
    handle = surface.do(producer.register(define_task("silent", **kinds)).dispatch(None))
    player.complete(raw, task="silent")
    assert surface.do(handle.result()) is None


@pytest.mark.parametrize("raw", [b"", b"{", b'{"total":"many"}', b"\xff", b"[]"])
def test_a_result_that_does_not_fit_the_contract_says_so(
    surface: Surface, task: Any, player: Player, raw: bytes
) -> None:
    handle = surface.do(task.dispatch(Order("a")))
    player.complete(raw)
    with pytest.raises(ValidationError, match="Validation failed for the output of task 'orders'"):
        surface.do(handle.result())
    assert surface.do(handle.state()) == "completed"


@pytest.mark.parametrize("timeout", [0, "0s", "5ms", 0.005])
def test_a_wait_may_be_bounded(surface: Surface, task: Any, timeout: Any) -> None:
    handle = surface.do(task.dispatch(Order("a")))
    with pytest.raises(JobTimeoutError) as caught:
        surface.do(handle.result(timeout=timeout))
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.job_id, caught.value.during) == (handle.id, "wait")
    assert surface.do(handle.state()) == "waiting"


@pytest.mark.parametrize("timeout", [-1, "soon", True, float("nan")])
def test_a_bad_timeout_is_refused(surface: Surface, task: Any, timeout: Any) -> None:
    with pytest.raises(UsageError, match="timeout must be"):
        surface.do(task.job("x").result(timeout=timeout))


@pytest.mark.parametrize("job_id", ["", "a:b", None, "wait"])
def test_a_handle_needs_an_id_that_can_be_one(task: Any, job_id: Any) -> None:
    with pytest.raises(UsageError, match="job_id must be"):
        task.job(job_id)


def test_states_follow_the_job(surface: Surface, task: Any, player: Player) -> None:
    handle = surface.do(task.dispatch(Order("a")))
    seen = [surface.do(handle.state())]
    (claim,) = player.claim()
    seen.append(surface.do(handle.state()))
    player.settle(claim, OutcomeKind.RETRYING, b"boom", delay_ms=60_000)
    seen.append(surface.do(handle.state()))
    surface.do(handle.cancel())
    seen.append(surface.do(handle.state()))
    assert seen == ["waiting", "active", "retrying", "cancelled"]
    assert all(isinstance(state, JobState) for state in seen)


def test_progress_and_logs_are_those_of_the_handler(surface: Surface, task: Any, player: Player) -> None:
    handle = surface.do(task.dispatch(Order("a")))
    assert surface.do(handle.progress()) is None
    (claim,) = player.claim()
    player.report(
        claim,
        ("progress", b"50"),
        ("log", b'{"level":"warn","message":"low","meta":{"left":1},"timestamp":5}'),
        ("log", b"not json"),
    )
    assert surface.do(handle.progress()) == 50
    first, second = surface.do(handle.logs())
    assert (first.level, first.message, first.meta, first.timestamp_ms) == ("warn", "low", {"left": 1}, 5)
    assert (second.level, second.message) == ("info", "not json")
    player.report(claim, ("progress", b'{"step":"b"}'))
    assert surface.do(handle.progress()) == {"step": "b"}


def test_cancelling_says_whether_it_had_a_point(surface: Surface, task: Any, player: Player) -> None:
    active, waiting, done = (surface.do(task.dispatch(Order("a"), priority=priority)) for priority in (9, 0, 10))
    player.complete()
    (claim,) = player.claim()
    assert claim.job_id == active.id
    assert surface.do(done.cancel()) is False
    assert surface.do(waiting.cancel()) is True
    assert surface.do(waiting.cancel()) is False
    assert surface.do(active.cancel(reason="stop")) is True
    assert surface.do(active.state()) == "active"
    player.settle(claim, OutcomeKind.CANCELLED)
    with pytest.raises(JobCancelledError, match="stop"):
        surface.do(active.result())


@pytest.mark.parametrize("name", ["sync", "async"])
def test_a_result_arrives_while_it_is_waited_for(name: str, storage: Storage, player: Player) -> None:
    begun = threading.Event()

    def follow() -> object:
        with open_surface(name) as surface, surface.producer(storage.url) as producer:
            handle = surface.do(producer.register(orders).dispatch(Order("a")))
            begun.set()
            return surface.do(handle.result(timeout="30s"))

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(follow)
        begun.wait(30)
        player.complete()
        assert waiting.result(30) == Receipt(7)


@pytest.mark.parametrize("name", ["sync", "async"])
@pytest.mark.parametrize("kind", ["cancel", "retry", "expire", "discard", "discard elsewhere", "fail"])
def test_every_end_is_noticed_while_it_is_waited_for(
    name: str, kind: str, redis_storage: Storage, redis_player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("_waiting", "_awaiting"):  # only the event can be what wakes the wait
        monkeypatch.setattr(f"taskora.producer.{module}.RECHECK_MS", 60_000)
    begun = threading.Event()
    errors = {"cancel": JobCancelledError, "fail": JobFailedError, "retry": JobFailedError}

    def follow() -> type[BaseException]:
        with open_surface(name) as surface, surface.producer(redis_storage.url) as producer:
            handle = surface.do(producer.register(orders).dispatch(Order("a"), job_id="x", ttl="1s"))
            begun.set()
            with pytest.raises(errors.get(kind, ExpiredError)) as caught:
                surface.do(handle.result(timeout="30s"))
            return type(caught.value)

    with ThreadPoolExecutor(1) as pool, redis_storage.raw() as raw:
        waiting = pool.submit(follow)
        begun.wait(30)
        eventually(lambda: _is_blocked(raw))
        _end(kind, redis_player, raw)
        assert waiting.result(30) is errors.get(kind, ExpiredError)


def _is_blocked(raw: Any) -> bool:
    return any(client["cmd"].startswith("xread") and "b" in client["flags"] for client in raw.client_list())


def _end(kind: str, player: Player, raw: Any) -> None:
    from taskora.wire import Cancel

    if kind == "cancel":
        player.backend.run(Cancel(task="orders", job_id="x"))
    elif kind == "expire":
        raw.hset("taskora:{orders}:x", "expireAt", "1")
        assert player.claim() == ()
    elif kind == "discard":
        raw.hset("taskora:{orders}:x", "expireAt", "1")
        assert player.claim(on_expire="discard") == ()
    elif kind == "discard elsewhere":  # another program leaves nothing but the event
        pipeline = raw.pipeline(transaction=True)
        pipeline.delete("taskora:{orders}:x")
        pipeline.xadd("taskora:{orders}:events", {"event": "expired", "jobId": "x"})
        pipeline.execute()
    else:
        if kind == "retry":
            player.retry()
        player.fail()


def test_several_waits_for_one_job_all_end(storage: Storage, player: Player) -> None:
    barrier = threading.Barrier(5)

    def follow(name: str) -> object:
        with open_surface(name) as own, own.producer(storage.url) as producer:
            handle = own.do(producer.register(orders).dispatch(Order("a"), job_id="shared"))
            barrier.wait(30)
            return own.do(handle.result(timeout="30s"))

    with ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(follow, name) for name in ("sync", "async", "sync", "async")]
        barrier.wait(30)
        player.complete()
        assert [wait.result(30) for wait in waits] == [Receipt(7)] * 4


def test_a_busy_stream_of_other_jobs_hides_nothing(surface: Surface, producer: Any, task: Any, player: Player) -> None:
    handle = surface.do(task.dispatch(Order("mine")))
    for _ in range(3):
        surface.do(task.dispatch_many([Order("other")] * 200))
    player.complete()
    assert surface.do(handle.result(timeout="10s")) == Receipt(7)
    other = surface.do(producer.register(anything).dispatch(1))
    assert surface.do(other.state()) == "waiting"
