"""Looking at jobs, and at what damage may have left of them."""

from typing import Any

import pytest

from packages.producer.tests.playing import Order, Player, Storage, Surface, anything, orders
from taskora.contracts import JobState, UsageError
from taskora.wire import OutcomeKind


def ids(surface: Surface, listing: Any) -> list[str]:
    return [info.id for info in surface.do(listing)]


def dispatch(surface: Surface, task: Any, *names: str, **options: Any) -> None:
    for name in names:
        surface.do(task.dispatch(Order(name), job_id=name, **options))


def test_an_empty_keyspace_has_nothing_to_show(surface: Surface, producer: Any) -> None:
    assert surface.do(producer.inspector.stats()) == {}
    assert surface.do(producer.inspector.waiting()) == []
    assert surface.do(producer.inspector.find("x")) is None
    counts = surface.do(producer.inspector.stats(orders))["orders"]
    assert (counts.waiting, counts.completed, counts.oldest_waiting_age) == (0, 0, None)


def test_counts_are_by_task_and_state(surface: Surface, producer: Any, task: Any, player: Player) -> None:
    dispatch(surface, task, "done", "dead", "gone", "running", "ready")
    dispatch(surface, task, "later", delay="1h")
    other = producer.register(anything)
    surface.do(other.dispatch(1))
    player.complete()
    player.fail()
    surface.do(task.job("gone").cancel())
    player.claim()
    counts = surface.do(producer.inspector.stats())
    assert sorted(counts) == ["anything", "orders"]
    ours = counts["orders"]
    assert (ours.waiting, ours.active, ours.delayed) == (1, 1, 1)
    assert (ours.completed, ours.failed, ours.cancelled, ours.expired) == (1, 1, 1, 0)
    assert ours.oldest_waiting_age >= 0
    assert counts["anything"].waiting == 1
    assert list(surface.do(producer.inspector.stats(orders))) == ["orders"]


def test_every_state_has_a_listing(surface: Surface, producer: Any, task: Any, player: Player) -> None:
    inspector = producer.inspector
    dispatch(surface, task, "done", "dead", "again", "gone", "running", "ready")
    dispatch(surface, task, "later", delay="1h")
    player.complete()
    player.fail()
    (claim,) = player.claim()
    player.settle(claim, OutcomeKind.RETRYING, b"boom", delay_ms=3_600_000)
    surface.do(task.job("gone").cancel(reason="why not"))
    player.claim()
    expected = {
        "completed": "done", "failed": "dead", "retrying": "again", "cancelled": "gone", "active": "running",
        "waiting": "ready", "delayed": "later", "expired": None,
    }  # fmt: skip
    for state, job_id in expected.items():
        for scope in (None, "orders", orders):
            listing = surface.do(getattr(inspector, state)(scope))
            assert [info.id for info in listing] == ([job_id] if job_id else [])
            assert all(info.state == state and info.task == "orders" for info in listing)
    (failed,) = surface.do(inspector.failed())
    assert (failed.error, failed.attempt) == ("boom", 1)
    (cancelled,) = surface.do(inspector.cancelled())
    assert cancelled.cancel_reason == "why not"


def test_a_job_tells_its_story(surface: Surface, producer: Any, task: Any, player: Player) -> None:
    surface.do(task.dispatch(Order("a", 2), job_id="x", priority=3))
    (claim,) = player.claim()
    player.report(claim, ("progress", b"[1]"), ("log", b'{"level":"info","message":"hi","timestamp":1}'))
    player.settle(claim, OutcomeKind.COMPLETED, b'{"total":3}')
    info = surface.do(producer.inspector.find("x"))
    assert (info.id, info.task, info.state, info.attempt, info.max_attempts) == ("x", "orders", "completed", 1, 1)
    assert (info.priority, info.version, info.data, info.result) == (3, 1, {"item": "a", "count": 2}, {"total": 3})
    assert (info.progress, info.error, info.cancel_reason, info.stalled_count) == ([1], None, None, 0)
    assert [entry.message for entry in info.logs] == ["hi"]
    assert [entry.state for entry in info.timeline] == ["waiting", "active", "completed"]
    times = [entry.timestamp_ms for entry in info.timeline]
    assert times == [info.timestamp_ms, info.processed_on_ms, info.finished_on_ms] == sorted(times)
    assert info.fields["state"] == b"completed"


def test_a_delayed_job_begins_its_story_so(surface: Surface, producer: Any, task: Any) -> None:
    dispatch(surface, task, "x", delay="1h")
    assert [entry.state for entry in surface.do(producer.inspector.find("x")).timeline] == [JobState.DELAYED]


def test_jobs_are_found_by_id_or_by_task_and_id(surface: Surface, producer: Any, task: Any) -> None:
    inspector = producer.inspector
    dispatch(surface, task, "x")
    here: list[tuple[Any, ...]] = [("x",), (orders, "x"), ("orders", "x")]
    nowhere: list[tuple[Any, ...]] = [("y",), (orders, "y"), ("anything", "x"), (anything, "x")]
    for arguments in here:
        assert surface.do(inspector.find(*arguments)).id == "x"
    for arguments in nowhere:
        assert surface.do(inspector.find(*arguments)) is None


@pytest.mark.parametrize("arguments", [(orders,), ("",), ("a:b",), ("orders", "active"), (7,), ("or:ders", "x")])
def test_what_cannot_be_a_job_is_refused(surface: Surface, producer: Any, arguments: Any) -> None:
    with pytest.raises(UsageError, match="must be"):
        surface.do(producer.inspector.find(*arguments))


@pytest.mark.parametrize("task_name", ["", "a:b", 7])
def test_what_cannot_be_a_task_is_refused(surface: Surface, producer: Any, task_name: Any) -> None:
    with pytest.raises(UsageError, match="task must be a contract, or the name of a task"):
        surface.do(producer.inspector.stats(task_name))
    with pytest.raises(UsageError, match="task must be"):
        surface.do(producer.inspector.waiting(task_name))


def test_pages_cover_everything_once(surface: Surface, producer: Any, task: Any) -> None:
    names = ["a", "b", "c", "d", "e"]
    dispatch(surface, task, *names)
    waiting = producer.inspector.waiting
    pages = [ids(surface, waiting("orders", limit=2, offset=offset)) for offset in (0, 2, 4, 6)]
    assert pages == [["a", "b"], ["c", "d"], ["e"], []]
    assert ids(surface, waiting(limit=0)) == []
    assert ids(surface, waiting(orders, limit=100)) == names


def test_the_default_page_is_twenty_per_task(surface: Surface, producer: Any, task: Any) -> None:
    surface.do(task.dispatch_many([Order("a")] * 25))
    surface.do(producer.register(anything).dispatch_many([1] * 25))
    assert len(surface.do(producer.inspector.waiting("orders"))) == 20
    assert len(surface.do(producer.inspector.waiting())) == 40


@pytest.mark.parametrize("page", [{"limit": -1}, {"offset": -1}, {"limit": "all"}, {"limit": True}, {"offset": 1.5}])
def test_a_bad_page_is_refused(surface: Surface, producer: Any, page: Any) -> None:
    (field,) = page
    with pytest.raises(UsageError, match=f"{field} must be an integer, 0 or more"):
        surface.do(producer.inspector.waiting(**page))


def test_ended_jobs_come_newest_first(surface: Surface, redis_storage: Storage, redis_player: Player) -> None:
    with surface.producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        dispatch(surface, producer.register(orders), "a", "b", "c")
        for number, name in enumerate(("a", "b", "c")):
            assert redis_player.complete() == name
            raw.zadd("taskora:{orders}:completed", {name: number})
        assert ids(surface, producer.inspector.completed()) == ["c", "b", "a"]


def test_tasks_of_other_prefixes_are_not_seen(surface: Surface, redis_storage: Storage) -> None:
    with (
        surface.producer(redis_storage.url) as plain,
        surface.producer(redis_storage.url, prefix="shop") as shop,
        surface.producer(redis_storage.url, prefix="shop.eu") as europe,
    ):
        for number, producer in enumerate((plain, shop, europe), 1):
            surface.do(producer.register(orders).dispatch_many([Order("a")] * number))
        for number, producer in enumerate((plain, shop, europe), 1):
            stats = surface.do(producer.inspector.stats())
            assert {name: counts.waiting for name, counts in stats.items()} == {"orders": number}


def test_many_tasks_are_all_found(surface: Surface, redis_storage: Storage) -> None:
    with surface.producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        raw.mset({f"noise:{number}": 1 for number in range(5000)})
        for number in range(100):
            raw.xadd(f"taskora:{{task-{number}}}:events", {"event": "waiting", "jobId": "x"})
        raw.set("taskora:{impostor}:events", "not a stream")
        assert len(surface.do(producer.inspector.stats())) == 100


DAMAGE: list[dict[str, bytes]] = [
    {"data": b"{half"},
    {"data": b"\xff\xfe", "result": b"\xff"},
    {"attempt": b"one", "ts": b"", "_v": b"x", "priority": b"1e3", "maxAttempts": b"-"},
    {"progress": b"{", "error": b"\xff", "stalledCount": b"?", "delay": b"soon", "processedOn": b"now"},
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_records_do_not_break_a_listing(surface: Surface, redis_storage: Storage, damage: Any) -> None:
    with surface.producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        dispatch(surface, producer.register(orders), "good", "bad")
        raw.hset("taskora:{orders}:bad", mapping=damage)
        assert ids(surface, producer.inspector.waiting()) == ["good", "bad"]
        info = surface.do(producer.inspector.find("bad"))
        assert {name: info.fields[name] for name in damage} == damage
        surface.do(producer.inspector.stats())


def test_undecodable_payloads_are_shown_as_text(surface: Surface, redis_storage: Storage) -> None:
    with surface.producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        dispatch(surface, producer.register(orders), "bad")
        raw.hset("taskora:{orders}:bad", mapping={"data": b"{half", "progress": b"\xff"})
        info = surface.do(producer.inspector.find("bad"))
        assert (info.data, info.progress) == ("{half", "\\xff")


def test_malformed_logs_do_not_hide_a_job(surface: Surface, redis_storage: Storage) -> None:
    with surface.producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        task = producer.register(orders)
        dispatch(surface, task, "x")
        for entry in (
            b"{",
            b"\xff",
            b"[]",
            b"null",
            b'{"level":9,"message":null,"timestamp":"now","meta":3}',
            b"1e999",
        ):
            raw.rpush("taskora:{orders}:x:logs", entry)
        raw.rpush("taskora:{orders}:x:logs", b'{"level":"error","message":"m","timestamp":1e999}')
        assert len(surface.do(producer.inspector.find("x")).logs) == 7
        assert len(surface.do(task.job("x").logs())) == 7


def test_ghosts_and_headless_records_are_left_out(surface: Surface, redis_storage: Storage) -> None:
    with surface.producer(redis_storage.url) as producer, redis_storage.raw() as raw:
        dispatch(surface, producer.register(orders), "a")
        raw.lpush("taskora:{orders}:wait", "ghost")
        raw.hset("taskora:{orders}:headless", "data", "1")
        raw.lpush("taskora:{orders}:wait", "headless")
        assert ids(surface, producer.inspector.waiting()) == ["a"]
        assert surface.do(producer.inspector.find("headless")) is None
