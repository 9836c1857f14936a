"""The dead-letter queue."""

from typing import Any

import pytest

from packages.producer.tests.playing import Order, Player, Receipt, Storage, Surface, anything, orders
from taskora.contracts import UsageError
from taskora.wire import Outcome, OutcomeKind


def fail_all(player: Player, task: str, count: int) -> None:
    claims = player.claim(task, slots=count)
    outcomes = tuple(
        Outcome(kind=OutcomeKind.FAILED, job_id=claim.job_id, token=claim.token, payload=b"boom") for claim in claims
    )
    player._exchange(task, outcomes=outcomes)


def test_failures_are_listed(surface: Surface, producer: Any, task: Any, player: Player) -> None:
    handle = surface.do(task.dispatch(Order("a", 4)))
    player.fail(b"no stock")
    for scope in (None, "orders", orders):
        (info,) = surface.do(producer.dead_letters.list(scope))
        assert (info.id, info.error, info.data) == (handle.id, "no stock", {"item": "a", "count": 4})
    assert surface.do(producer.dead_letters.list("anything")) == []
    assert surface.do(producer.dead_letters.list(limit=0)) == []


def test_pages_of_failures(surface: Surface, producer: Any, task: Any, player: Player) -> None:
    surface.do(task.dispatch_many([Order("a")] * 5))
    fail_all(player, "orders", 5)
    pages = [surface.do(producer.dead_letters.list(limit=2, offset=offset)) for offset in (0, 2, 4)]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len({info.id for page in pages for info in page}) == 5


@pytest.mark.parametrize("by_task", [None, "orders", orders])
def test_a_retry_starts_a_clean_life(surface: Surface, producer: Any, task: Any, player: Player, by_task: Any) -> None:
    handle = surface.do(task.dispatch(Order("a")))
    player.retry()
    player.fail()
    arguments = (handle.id,) if by_task is None else (by_task, handle.id)
    assert surface.do(producer.dead_letters.retry(*arguments)) is True
    info = surface.do(producer.inspector.find(handle.id))
    assert (info.state, info.attempt, info.error, info.finished_on_ms) == ("waiting", 1, None, None)
    assert surface.do(producer.dead_letters.list()) == []
    player.complete()
    assert surface.do(handle.result()) == Receipt(7)


def test_only_failed_jobs_are_retried_or_discarded(surface: Surface, producer: Any, task: Any, player: Player) -> None:
    dead_letters = producer.dead_letters
    done, waiting = (surface.do(task.dispatch(Order("a"))) for _ in range(2))
    player.complete()
    for job_id in (done.id, waiting.id, "nobody"):
        for arguments in ((job_id,), (orders, job_id), ("anything", job_id)):
            assert surface.do(dead_letters.retry(*arguments)) is False
            assert surface.do(dead_letters.discard(*arguments)) is False
    assert surface.do(done.state()) == "completed"
    assert surface.do(waiting.state()) == "waiting"


@pytest.mark.parametrize("job_id", ["", "a:b", "failed", None, orders])
def test_what_cannot_be_a_job_is_refused_and_revives_nothing(
    surface: Surface, producer: Any, task: Any, player: Player, job_id: Any
) -> None:
    surface.do(task.dispatch(Order("a")))
    player.fail()
    for method in (producer.dead_letters.retry, producer.dead_letters.discard):
        with pytest.raises(UsageError, match="job_id must be"):
            surface.do(method(job_id))
    assert len(surface.do(producer.dead_letters.list())) == 1


def test_more_than_one_batch_is_retried(surface: Surface, producer: Any, task: Any, player: Player) -> None:
    other = producer.register(anything)
    surface.do(task.dispatch_many([Order("a")] * 250))
    surface.do(other.dispatch_many([1] * 3))
    fail_all(player, "orders", 250)
    fail_all(player, "anything", 3)
    assert surface.do(producer.dead_letters.retry_all("anything")) == 3
    assert surface.do(producer.dead_letters.retry_all()) == 250
    assert surface.do(producer.dead_letters.retry_all()) == 0
    stats = surface.do(producer.inspector.stats())
    assert (stats["orders"].failed, stats["orders"].waiting, stats["anything"].waiting) == (0, 250, 3)
    assert len(player.claim(slots=300)) == 250


def test_ghosts_among_the_failures_hide_nobody(surface: Surface, redis_storage: Storage, redis_player: Player) -> None:
    with surface.producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        surface.do(producer.register(orders).dispatch_many([Order("a")] * 150))
        fail_all(redis_player, "orders", 150)
        raw.zadd("taskora:{orders}:failed", {f"ghost-{number}": number for number in range(120)})
        assert surface.do(producer.dead_letters.retry_all()) == 150
        assert surface.do(producer.inspector.stats("orders"))["orders"].failed == 0


def test_jobs_that_fail_again_meanwhile_are_not_retried_for_ever(redis_storage: Storage, redis_player: Player) -> None:
    from taskora.producer import Producer
    from taskora.wire import RetryDead

    with Producer(redis_storage.url) as producer:
        producer.register(orders).dispatch_many([Order("a")] * 120)
        fail_all(redis_player, "orders", 120)
        run = producer._session.backend.run

        def fail_at_once(operation: Any) -> Any:
            reply = run(operation)
            if isinstance(operation, RetryDead):
                fail_all(redis_player, "orders", 200)
            return reply

        producer._session.backend.run = fail_at_once  # type: ignore[method-assign]
        assert producer.dead_letters.retry_all("orders") == 120


@pytest.mark.parametrize("by_task", [None, "orders", orders])
def test_a_discarded_job_leaves_nothing_behind(
    surface: Surface, redis_storage: Storage, redis_player: Player, by_task: Any
) -> None:
    with surface.producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        surface.do(producer.register(orders).dispatch(Order("a"), job_id="x"))
        redis_player.fail()
        raw.rpush("taskora:{orders}:x:logs", "{}")
        arguments = ("x",) if by_task is None else (by_task, "x")
        assert surface.do(producer.dead_letters.discard(*arguments)) is True
        assert surface.do(producer.dead_letters.discard(*arguments)) is False
        assert not {key for key in redis_storage.keys() if ":x" in key}  # noqa: SIM118 - not a dict
