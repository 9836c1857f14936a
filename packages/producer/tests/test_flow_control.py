"""Flow control of dispatches, from the call to the storage and back."""

import asyncio
import uuid
from typing import Any

import pytest

from packages.producer.tests.playing import Order, Player, Storage, Surface, orders
from taskora.contracts import (
    BatchFullError,
    Collect,
    Debounce,
    Deduplicate,
    DuplicateJobError,
    Throttle,
    ThrottledError,
    UsageError,
    ValidationError,
    define_task,
)
from taskora.producer import AsyncProducer, CollectInfo
from tests.fixtures import StartServer

DEBOUNCE = Debounce(key="k", delay="1h")
THROTTLE = Throttle(key="k", max=2, window="1h")
ONCE = Deduplicate(key="k")
LATEST = Deduplicate(key="k", keep_latest=True)

gathered = define_task("gathered", input=str, collect=Collect(key="all", delay="1h", max_items=3))
by_item = define_task("by-item", input=Order, collect=Collect(key=lambda order: order.item, delay="1h", max_size=2))


@pytest.fixture(params=["valkey9", "memory"])
def storage(request: pytest.FixtureRequest, start_server: StartServer) -> Storage:
    """One server is enough here: what the servers have in common is tested with the scripts."""
    if request.param == "memory":
        return Storage(f"memory://{uuid.uuid4().hex}", None)
    server = start_server(request.param)
    with server.client() as client:
        client.flushall()
    return Storage(server.url, server)


def verdict(handle: Any) -> tuple[bool, str | None]:
    return handle.enqueued, handle.existing_id


def dispatch(surface: Surface, task: Any, item: str, **options: Any) -> Any:
    return surface.do(task.dispatch(Order(item), **options))


def waiting_items(surface: Surface, producer: Any) -> list[str]:
    return [info.data["item"] for info in surface.do(producer.inspector.waiting("orders"))]


def test_debounce_replaces_the_pending_job_of_the_key(surface: Surface, producer: Any, task: Any) -> None:
    handles = [dispatch(surface, task, item, debounce=DEBOUNCE) for item in "abc"]
    other = dispatch(surface, task, "d", debounce=Debounce(key="other", delay="1h"))
    assert [verdict(handle) for handle in (*handles, other)] == [(True, None)] * 4
    assert [surface.do(handle.state()) for handle in (*handles, other)] == [None, None, "delayed", "delayed"]
    assert {info.data["item"] for info in surface.do(producer.inspector.delayed("orders"))} == {"c", "d"}


def test_throttle_accepts_so_many_of_a_key(surface: Surface, task: Any) -> None:
    handles = [dispatch(surface, task, item, throttle=THROTTLE) for item in "abc"]
    other = dispatch(surface, task, "d", throttle=Throttle(key="other", max=1, window="1h"))
    assert [verdict(handle) for handle in handles] == [(True, None), (True, None), (False, None)]
    assert other.enqueued
    assert surface.do(handles[2].state()) is None


@pytest.mark.parametrize("waves", [1, 2])
def test_dispatches_at_once_are_throttled_to_exactly_so_many(storage: Storage, waves: int) -> None:
    async def dispatch_all() -> list[int]:
        async with AsyncProducer(storage.url) as one, AsyncProducer(storage.url) as other:
            tasks = [producer.register(orders) for producer in (one, other)]
            accepted: list[int] = []
            for wave in range(waves):
                limit = Throttle(key=f"wave:{wave}", max=5, window="1h")
                dispatches = [task.dispatch(Order("a"), throttle=limit) for task in tasks for _ in range(10)]
                handles = await asyncio.gather(*dispatches)
                accepted.append(sum(handle.enqueued for handle in handles))
            assert (await one.inspector.stats(orders))["orders"].waiting == 5 * waves
            return accepted

    assert asyncio.run(dispatch_all()) == [5] * waves


def test_a_throttled_dispatch_has_no_result(surface: Surface, task: Any) -> None:
    once = Throttle(key="k", max=1, window="1h")
    dispatch(surface, task, "a", throttle=once)
    handle = dispatch(surface, task, "b", throttle=once)
    with pytest.raises(ThrottledError) as caught:
        surface.do(handle.result(timeout="5s"))
    assert (caught.value.key, caught.value.task) == ("k", "orders")


@pytest.mark.parametrize("options", [ONCE, Deduplicate(key="k", ttl="1h")])
def test_a_duplicate_follows_the_job_that_is_there(
    surface: Surface, player: Player, task: Any, options: Deduplicate
) -> None:
    first = dispatch(surface, task, "a", deduplicate=options)
    second = dispatch(surface, task, "b", deduplicate=options)
    assert verdict(first) == (True, None)
    assert verdict(second) == (False, first.id)
    assert second.id == first.id
    assert player.complete() == first.id
    assert surface.do(second.result(timeout="5s")).total == 7


def test_a_key_is_free_when_its_job_has_ended_and_for_a_time_to_live_it_is_not(
    surface: Surface, player: Player, task: Any
) -> None:
    for_a_time = Deduplicate(key="t", ttl="1h")
    first = dispatch(surface, task, "a", deduplicate=ONCE)
    timed = dispatch(surface, task, "b", deduplicate=for_a_time)
    player.complete()
    player.complete()
    assert dispatch(surface, task, "c", deduplicate=ONCE).id != first.id
    assert verdict(dispatch(surface, task, "d", deduplicate=for_a_time)) == (False, timed.id)


def test_only_the_named_states_make_a_duplicate(surface: Surface, player: Player, task: Any) -> None:
    while_waiting = Deduplicate(key="k", while_=("waiting",))
    dispatch(surface, task, "a", deduplicate=while_waiting)
    assert not dispatch(surface, task, "b", deduplicate=while_waiting).enqueued
    player.claim()
    assert dispatch(surface, task, "c", deduplicate=while_waiting).enqueued


def test_keeping_the_latest_gives_its_payload_to_the_job_that_waits(
    surface: Surface, producer: Any, player: Player, task: Any
) -> None:
    running = dispatch(surface, task, "a", deduplicate=LATEST)
    (claim,) = player.claim()
    assert claim.job_id == running.id
    waits = dispatch(surface, task, "b", deduplicate=LATEST)
    latest = dispatch(surface, task, "c", deduplicate=LATEST)
    assert [verdict(waits), verdict(latest)] == [(True, None), (False, waits.id)]
    assert waiting_items(surface, producer) == ["c"]
    assert player.claim() == ()  # one at a time


def test_jobs_over_the_limit_of_their_key_are_parked(
    surface: Surface, producer: Any, player: Player, task: Any
) -> None:
    for item in "abc":
        dispatch(surface, task, item, concurrency_key="tenant", concurrency_limit=1)
    dispatch(surface, task, "d", concurrency_key="other")
    dispatch(surface, task, "e")
    assert len(player.claim(slots=5)) == 3
    stats = surface.do(producer.inspector.stats("orders"))["orders"]
    assert (stats.active, stats.waiting, stats.parked) == (3, 2, 2)


def test_the_last_in_is_the_first_out(surface: Surface, producer: Any, task: Any) -> None:
    for item in "abc":
        dispatch(surface, task, item, lifo=item != "a")
    assert waiting_items(surface, producer) == ["c", "b", "a"]


def test_a_rejection_is_raised_on_request(surface: Surface, task: Any) -> None:
    original = dispatch(surface, task, "a", deduplicate=ONCE, raise_on_reject=True)
    with pytest.raises(DuplicateJobError) as duplicate:
        dispatch(surface, task, "b", deduplicate=ONCE, raise_on_reject=True)
    assert (duplicate.value.key, duplicate.value.existing_id) == ("k", original.id)
    once = Throttle(key="k", max=1, window="1h")
    dispatch(surface, task, "c", throttle=once, raise_on_reject=True)
    with pytest.raises(ThrottledError):
        dispatch(surface, task, "d", throttle=once, raise_on_reject=True)


def test_an_id_that_is_taken_is_no_rejection(surface: Surface, task: Any) -> None:
    dispatch(surface, task, "a", job_id="x", throttle=THROTTLE)
    again = dispatch(surface, task, "a", job_id="x", throttle=THROTTLE, raise_on_reject=True)
    assert verdict(again) == (False, "x")


def test_items_of_a_batch_see_each_other_in_order(surface: Surface, task: Any) -> None:
    items = [
        task.item(Order("a"), deduplicate=ONCE),
        task.item(Order("b"), deduplicate=ONCE),
        *(task.item(Order("c"), throttle=THROTTLE) for _ in range(3)),
        *(task.item(Order("d"), debounce=DEBOUNCE) for _ in range(2)),
        Order("e"),
    ]
    handles = surface.do(task.dispatch_many(items))
    assert [handle.enqueued for handle in handles] == [True, False, True, True, False, True, True, True]
    assert handles[1].existing_id == handles[0].id
    with pytest.raises(ThrottledError):
        surface.do(handles[4].result(timeout="5s"))
    states = [surface.do(handle.state()) for handle in handles[5:]]
    assert states == [None, "delayed", "waiting"]


def test_a_batch_raises_its_first_rejection_that_asked_for_it_when_all_is_sent(surface: Surface, task: Any) -> None:
    items = [
        *(task.item(Order("a"), throttle=THROTTLE) for _ in range(3)),
        task.item(Order("b"), deduplicate=ONCE, raise_on_reject=True),
        task.item(Order("c"), deduplicate=ONCE, raise_on_reject=True),
        task.item(Order("d"), throttle=THROTTLE, raise_on_reject=True),
        task.item(Order("e"), job_id="last"),
    ]
    with pytest.raises(DuplicateJobError) as caught:
        surface.do(task.dispatch_many(items))
    assert caught.value.__notes__ == ["item 4 of a batch of 7, all of which was sent"]
    assert surface.do(task.job("last").state()) == "waiting"


EXCLUSIVE: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"debounce": DEBOUNCE, "throttle": THROTTLE}, ("debounce", "throttle")),
    ({"debounce": DEBOUNCE, "deduplicate": ONCE}, ("debounce", "deduplicate")),
    ({"throttle": THROTTLE, "deduplicate": ONCE}, ("throttle", "deduplicate")),
    ({"debounce": DEBOUNCE, "delay": "1s"}, ("debounce", "delay")),
    ({"lifo": True, "delay": "1s"}, ("lifo", "delay")),
    ({"lifo": True, "debounce": DEBOUNCE}, ("lifo", "debounce")),
    ({"deduplicate": LATEST, "concurrency_key": "k"}, ("keep_latest", "concurrency_key")),
]


@pytest.mark.parametrize(("options", "names"), EXCLUSIVE)
def test_options_that_exclude_each_other_are_named(
    surface: Surface, storage: Storage, task: Any, options: dict[str, Any], names: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="exclude each other") as caught:
        dispatch(surface, task, "a", **options)
    assert [name for name in names if name not in str(caught.value)] == []
    assert storage.keys() == set()


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"concurrency_key": ""}, "concurrency_key", "1 to 512 printable characters, got ''"),
    ({"concurrency_key": 7}, "concurrency_key", "1 to 512 printable characters, got 7"),
    ({"concurrency_key": "k", "concurrency_limit": 0}, "concurrency_limit", "an integer, 1 or more, got 0"),
    ({"concurrency_key": "k", "concurrency_limit": True}, "concurrency_limit", "an integer, 1 or more, got True"),
    ({"concurrency_limit": 3}, "concurrency_limit", "given with a concurrency_key, got 3"),
    ({"debounce": "2s"}, "debounce", "a Debounce, got '2s'"),
    ({"throttle": 5}, "throttle", "a Throttle, got 5"),
    ({"deduplicate": "k"}, "deduplicate", "a Deduplicate, got 'k'"),
    ({"lifo": "no"}, "lifo", "True or False, got 'no'"),
    ({"raise_on_reject": 1}, "raise_on_reject", "True or False, got 1"),
    ({"skip_validation": None}, "skip_validation", "True or False, got None"),
]


@pytest.mark.parametrize(("options", "field", "rest"), BAD)
def test_a_bad_value_is_told_with_field_and_rule(
    surface: Surface, storage: Storage, task: Any, options: dict[str, Any], field: str, rest: str
) -> None:
    with pytest.raises(UsageError) as caught:
        dispatch(surface, task, "a", **options)
    assert str(caught.value) == f"{field} must be {rest}"
    assert caught.value.field == field
    assert storage.keys() == set()


def test_an_item_is_validated_before_its_key_is_asked_for(surface: Surface, storage: Storage, producer: Any) -> None:
    task = producer.register(by_item)
    with pytest.raises(ValidationError):
        surface.do(task.dispatch("no order"))
    assert storage.keys() == set()


def test_payloads_gather_and_can_be_looked_at(surface: Surface, producer: Any) -> None:
    task = producer.register(gathered)
    assert surface.do(task.inspect_collect("all")) is None
    assert surface.do(task.peek_collect("all")) == []
    first = surface.do(task.dispatch("a"))
    (last,) = surface.do(task.dispatch_many(["b"]))
    assert [surface.do(first.state()), surface.do(last.state())] == [None, "delayed"]
    assert surface.do(task.peek_collect("all")) == ["a", "b"]
    info = surface.do(task.inspect_collect("all"))
    assert isinstance(info, CollectInfo)
    assert info.count == 2
    assert 0 < info.first_ms <= info.last_ms


def test_a_batch_that_is_full_refuses_more(surface: Surface, producer: Any) -> None:
    task = producer.register(gathered)
    surface.do(task.dispatch_many(["a", "b", "c"]))
    with pytest.raises(BatchFullError, match="batch of collect key") as caught:
        surface.do(task.dispatch("d"))
    full = caught.value
    assert isinstance(full, ThrottledError)
    assert (full.key, full.task, full.field, full.value) == ("all", "gathered", "collect.max_items", "3")
    assert surface.do(task.peek_collect("all")) == ["a", "b", "c"]


def test_a_key_made_of_the_input_gathers_apart_and_a_whole_batch_runs(
    surface: Surface, producer: Any, player: Player
) -> None:
    task = producer.register(by_item)
    *_, last = [dispatch(surface, task, item) for item in ("a", "b", "a")]
    assert surface.do(last.state()) == "waiting"
    assert surface.do(task.peek_collect("a")) == []
    assert surface.do(task.peek_collect("b")) == [Order("b")]
    (claim,) = player.claim("by-item")
    assert claim.job_id == last.id
    assert claim.data == b'[{"item":"a","count":1},{"item":"a","count":1}]'


def test_a_task_that_collects_refuses_other_options(surface: Surface, storage: Storage, producer: Any) -> None:
    task = producer.register(gathered)
    with pytest.raises(UsageError, match="task 'gathered' collects: delay, job_id cannot be given"):
        surface.do(task.dispatch("a", job_id="x", delay="1s"))
    with pytest.raises(UsageError, match="throttle cannot be given"):
        surface.do(task.dispatch_many([task.item("a", throttle=THROTTLE)]))
    with pytest.raises(TypeError, match="delya"):
        surface.do(task.dispatch("a", delya="1s"))
    with pytest.raises(ValidationError):
        surface.do(task.dispatch_many(["a", 7]))  # one bad item refuses all
    assert storage.keys() == set()


def test_a_task_that_does_not_collect_has_no_batches(surface: Surface, task: Any) -> None:
    for look in (task.peek_collect, task.inspect_collect):
        with pytest.raises(UsageError, match="task 'orders' does not collect"):
            surface.do(look("all"))


def test_how_far_since_may_be_raised(surface: Surface, producer: Any, player: Player) -> None:
    ask = producer.inspector.migrations
    versions = [define_task("orders", input=Order, version=version) for version in (1, 2, 4)]
    nothing = surface.do(ask(versions[2]))
    assert (nothing.oldest, nothing.can_bump_since, nothing.version) == (None, 4, 4)
    for contract, delay in zip(versions, (None, "1h", None), strict=True):
        with surface.producer(producer._session.backend) as other:
            dispatch(surface, other.register(contract), "a", delay=delay)
    player.claim()
    info = surface.do(ask(versions[2]))
    assert (dict(info.active), dict(info.delayed), dict(info.waiting)) == ({1: 1}, {2: 1}, {4: 1})
    assert (info.task, info.oldest, info.can_bump_since) == ("orders", 1, 1)
    assert surface.do(ask(versions[0])).can_bump_since == 1
    with pytest.raises(UsageError, match="contract must be a TaskContract"):
        surface.do(ask("orders"))
