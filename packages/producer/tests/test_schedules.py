"""Managing schedules, from both surfaces and over every kind of storage."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from packages.producer.tests.playing import MANY, Order, Player, Receipt, Storage, Surface, anything, orders
from taskora.contracts import (
    Collect,
    JobState,
    Retry,
    Schedule,
    Ttl,
    UsageError,
    ValidationError,
    define_task,
    static_contract,
)
from taskora.producer import AsyncProducer, Producer, ScheduleInfo
from taskora.wire import ReadDue, ReadSchedules, SetDue, SyncBackend, WriteSchedule
from taskora.wire.backends import open_sync_backend

HOURLY = Schedule(cron="0 * * * *", timezone="Europe/Berlin", data=Order(item="tea"))
Do = Callable[[Any], Any]


@pytest.fixture
def schedules(producer: Any) -> Any:
    return producer.schedules


@pytest.fixture
def do(surface: Surface) -> Do:
    return surface.do


@pytest.fixture
def raw(storage: Storage) -> Iterator[SyncBackend]:
    backend = open_sync_backend(storage.url)
    yield backend
    backend.close()


def record(raw: SyncBackend, name: str = "s") -> dict[str, Any]:
    body: dict[str, Any] = json.loads(raw.run(ReadSchedules(names=[name]))[name])
    return body


def due_ms(raw: SyncBackend, name: str = "s") -> int | None:
    return raw.run(ReadDue(names=[name])).due.get(name)


def ran(raw: SyncBackend, job_id: str, name: str = "s") -> None:
    """Says that a scheduler of another program dispatched a run."""
    old = raw.run(ReadSchedules(names=[name]))[name]
    body = json.loads(old) | {"lastJobId": job_id, "lastRun": 1795299711676}
    assert raw.run(WriteSchedule(name=name, expected=old, record=json.dumps(body).encode()))


def test_a_schedule_is_created_listed_and_removed(schedules: Any, do: Do, raw: SyncBackend) -> None:
    made: ScheduleInfo = do(schedules.create("s", orders, HOURLY))
    assert (made.name, made.task, made.paused, made.declared, made.problem) == ("s", "orders", False, False, None)
    assert made.schedule == Schedule(cron="0 * * * *", timezone="Europe/Berlin", data={"item": "tea", "count": 1})
    assert made.next_run is not None
    assert (made.next_run.minute, str(made.next_run.tzinfo)) == (0, "Europe/Berlin")
    assert made.next_runs(3) == [made.next_run + timedelta(hours=hours) for hours in range(3)]
    do(schedules.create("another", anything, Schedule(every="1h")))
    assert [info.name for info in do(schedules.list())] == ["another", "s"]
    assert do(schedules.find("s")) == made
    assert [do(schedules.remove("s")), do(schedules.remove("s"))] == [True, False]
    assert do(schedules.find("s")) is None
    assert due_ms(raw) is None


def test_others_can_read_what_is_stored(schedules: Any, do: Do, raw: SyncBackend) -> None:
    contract = define_task("t", input=object, retry=Retry(attempts=4), ttl=Ttl(max="1m"), version=3)
    do(schedules.create("s", contract, Schedule(every="5m", overlap=True, on_missed="catch-up-limit:2")))
    body = record(raw)
    assert {name: body[name] for name in ("task", "overlap", "onMissed", "every")} == {
        "task": "t",
        "overlap": True,
        "onMissed": "catch-up-limit:2",
        "every": 300_000,
    }
    assert "data" not in body
    assert (body["py:version"], body["py:maxAttempts"], body["py:ttl"]) == (3, 4, 60_000)


def test_the_same_schedule_again_keeps_next_run_history_and_pause(schedules: Any, do: Do, raw: SyncBackend) -> None:
    do(schedules.create("s", anything, Schedule(every="1h")))
    raw.run(SetDue(name="s", expected="any", due_ms=1_900_000_000_000))
    ran(raw, "j1")
    info = do(schedules.create("s", anything, Schedule(every=3600)))
    assert (due_ms(raw), info.last_job_id) == (1_900_000_000_000, "j1")
    assert info.last_run == datetime.fromtimestamp(1795299711.676, UTC)
    do(schedules.pause("s"))
    assert do(schedules.create("s", anything, Schedule(every="1h"))).paused


def test_a_changed_one_is_planned_anew_and_keeps_history_and_pause(schedules: Any, do: Do, raw: SyncBackend) -> None:
    do(schedules.create("s", anything, Schedule(every="1h")))
    ran(raw, "j1")
    before = due_ms(raw)
    info = do(schedules.create("s", anything, Schedule(every="2h")))
    assert before is not None
    assert abs((due_ms(raw) or 0) - before - 3_600_000) < 60_000
    assert info.last_job_id == "j1"
    do(schedules.pause("s"))
    info = do(schedules.create("s", anything, Schedule(every="3h")))
    assert (info.paused, info.schedule) == (True, Schedule(every="3h"))


def test_other_data_do_not_change_when_it_runs(schedules: Any, do: Do, raw: SyncBackend) -> None:
    do(schedules.create("s", anything, Schedule(every="1h")))
    before = due_ms(raw)
    do(schedules.create("s", anything, Schedule(every="1h", data=5)))
    assert (due_ms(raw), record(raw)["data"]) == (before, 5)


def test_one_that_others_lost_is_planned_again(schedules: Any, do: Do, raw: SyncBackend) -> None:
    do(schedules.create("s", anything, Schedule(every="1h")))
    raw.run(SetDue(name="s", expected="any", due_ms=None))
    info = do(schedules.find("s"))
    assert info.paused
    assert "no program of ours paused it" in info.problem
    assert not do(schedules.create("s", anything, Schedule(every="1h"))).paused


def test_pausing_and_resuming(schedules: Any, do: Do, raw: SyncBackend) -> None:
    do(schedules.create("s", anything, Schedule(every="1h")))
    assert do(schedules.pause("s"))
    info = do(schedules.find("s"))
    assert (info.paused, info.problem, info.next_run, info.next_runs(3)) == (True, None, None, [])
    assert do(schedules.pause("s"))
    assert do(schedules.resume("s"))
    planned = due_ms(raw)
    assert planned is not None
    assert do(schedules.resume("s"))  # it is not counted from now again
    assert due_ms(raw) == planned
    assert not do(schedules.find("s")).paused


def test_a_pause_ends_when_another_program_has_run_it_since(schedules: Any, do: Do, raw: SyncBackend) -> None:
    do(schedules.create("s", anything, Schedule(every="1h")))
    do(schedules.pause("s"))
    raw.run(SetDue(name="s", expected="any", due_ms=1_900_000_000_000))
    assert do(schedules.find("s")).paused  # what its caller died over looks the same
    ran(raw, "j1")
    assert not do(schedules.find("s")).paused


def test_one_that_is_over_goes_on_when_its_end_is_put_off(schedules: Any, do: Do, raw: SyncBackend) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    info = do(schedules.create("s", anything, Schedule(every="1h", end=past)))
    assert (info.next_run, info.paused, info.problem) == (None, False, None)
    info = do(schedules.update("s", end=None))
    assert info.next_run is not None
    assert (due_ms(raw) is not None, info.paused, info.problem) == (True, False, None)


def test_when_another_program_has_planned_it_is_kept_over_a_change(schedules: Any, do: Do, raw: SyncBackend) -> None:
    theirs = {"task": "anything", "every": 3_600_000, "overlap": False, "onMissed": "skip"}
    raw.run(WriteSchedule(name="s", expected=None, record=json.dumps(theirs).encode()))
    raw.run(SetDue(name="s", expected="any", due_ms=1_900_000_000_000))
    info = do(schedules.update("s", data=5))
    assert (due_ms(raw), info.schedule.data) == (1_900_000_000_000, 5)
    assert info.next_run == datetime.fromtimestamp(1_900_000_000, UTC)


def test_while_somebody_changes_it_a_schedule_shows_when_it_is_due(schedules: Any, do: Do, raw: SyncBackend) -> None:
    planned = do(schedules.create("s", anything, Schedule(every="1h"))).next_run
    raw.run(SetDue(name="s", expected="any", due_ms=1_900_000_000_000))
    assert do(schedules.find("s")).next_run == planned
    assert [info.next_run for info in do(schedules.list())] == [planned]


def test_what_is_not_there(schedules: Any, do: Do) -> None:
    assert [do(schedules.pause("s")), do(schedules.resume("s")), do(schedules.remove("s"))] == [False] * 3
    with pytest.raises(UsageError, match="there is no schedule 's'"):
        do(schedules.update("s", every="1h"))
    with pytest.raises(UsageError, match="there is no schedule 's'"):
        do(schedules.trigger("s"))
    with pytest.raises(UsageError, match="name must be 1 to 128"):
        do(schedules.find("a b"))


def test_updating_changes_what_is_named(schedules: Any, do: Do, raw: SyncBackend) -> None:
    do(schedules.create("s", anything, Schedule(cron="@daily", timezone="Asia/Tokyo", data={"a": 1})))
    info = do(schedules.update("s", every="10m"))
    assert info.schedule == Schedule(every="10m", data={"a": 1})
    assert record(raw)["every"] == 600_000
    planned = due_ms(raw)
    info = do(schedules.update("s", data=[1], overlap=True, on_missed="catch-up", jitter="5s"))
    assert info.schedule == Schedule(every="10m", data=[1], overlap=True, on_missed="catch-up", jitter="5s")
    assert due_ms(raw) == planned
    assert do(schedules.update("s", cron="0 3 * * *")).schedule == Schedule(
        cron="0 3 * * *", timezone="UTC", data=[1], overlap=True, on_missed="catch-up", jitter="5s"
    )
    do(schedules.pause("s"))
    assert do(schedules.update("s", every="1m")).paused


def test_bad_changes_change_nothing(schedules: Any, do: Do, raw: SyncBackend) -> None:
    do(schedules.create("s", anything, Schedule(every="1h")))
    before = record(raw)
    for change in ({"every": "never"}, {"cron": "61 * * * *"}, {"timezone": "UTC"}, {"data": object()}, {"end": 5}):
        with pytest.raises(UsageError):
            do(schedules.update("s", **change))
    with pytest.raises(TypeError, match="a schedule has no option 'evry'"):
        do(schedules.update("s", evry="1h"))
    assert record(raw) == before


def test_a_trigger_runs_it_now_and_leaves_it_alone(schedules: Any, do: Do, raw: SyncBackend, player: Player) -> None:
    do(schedules.create("s", orders, HOURLY))
    before = record(raw), due_ms(raw)
    handle = do(schedules.trigger("s", orders))
    assert do(handle.state()) is JobState.WAITING
    assert player.complete() == handle.id
    assert do(handle.result("5s")) == Receipt(total=7)
    untyped = do(schedules.trigger("s"))
    player.complete()
    assert do(untyped.result("5s")) == {"total": 7}
    assert (record(raw), due_ms(raw)) == before
    with pytest.raises(UsageError, match="runs task 'orders', not 'anything'"):
        do(schedules.trigger("s", anything))


def test_a_damaged_record_is_listed_and_can_be_paused_removed_and_declared_anew(
    schedules: Any, do: Do, raw: SyncBackend
) -> None:
    for name in ("a", "b", "c"):
        raw.run(WriteSchedule(name=name, expected=None, record=b"{"))
        raw.run(SetDue(name=name, expected="any", due_ms=1_900_000_000_000))
    infos = do(schedules.list())
    assert [(info.task, info.schedule) for info in infos] == [(None, None)] * 3
    assert all("cannot be read" in info.problem and info.record == b"{" for info in infos)
    assert do(schedules.pause("a"))
    with pytest.raises(UsageError, match="cannot be read"):
        do(schedules.resume("a"))
    assert do(schedules.remove("b"))
    assert do(schedules.create("c", anything, Schedule(every="1h"))).problem is None


def test_what_cannot_run_is_refused(schedules: Any, do: Do, storage: Storage) -> None:
    with pytest.raises(ValidationError):
        do(schedules.create("s", orders, Schedule(every="1h")))
    with pytest.raises(ValidationError):
        do(schedules.create("s", orders, Schedule(every="1h", data=Order(item="x", count=MANY))))
    collecting: Any = define_task("c", input=int, collect=Collect(key="k", delay="1s"))
    for name, contract, schedule, message in [
        ("s", collecting, Schedule(every="1h", data=1), "collects"),
        ("s", anything, Schedule(every="1h", data="x" * 1_100_000), "at most 1048576 bytes"),
        ("s", anything, None, "schedule must be"),
        ("s", "anything", Schedule(every="1h"), "contract must be"),
        ("a:b", anything, Schedule(every="1h"), "name must be"),
    ]:
        with pytest.raises(UsageError, match=message):
            do(schedules.create(name, contract, schedule))
    assert storage.keys() == set()


def test_a_static_contract_is_not_validated(schedules: Any, do: Do) -> None:
    contract = static_contract[Order, Receipt]("orders")
    info = do(schedules.create("s", contract, Schedule(every="1h", data={"whatever": 1})))
    assert info.schedule.data == {"whatever": 1}


def test_schedules_of_prefixes_are_apart(storage: Storage) -> None:
    if not storage.is_redis:
        pytest.skip("memory has a store for each prefix by its construction")
    with Producer(storage.url, prefix="a") as one, Producer(storage.url, prefix="b") as other:
        one.schedules.create("s", anything, Schedule(every="1h"))
        assert other.schedules.list() == []
    assert {"taskora:a:schedules", "taskora:a:schedules:next"} <= storage.keys()


async def test_changes_at_the_same_time_all_take_effect(redis_storage: Storage) -> None:
    import asyncio

    async with AsyncProducer(redis_storage.url) as one, AsyncProducer(redis_storage.url) as other:
        await one.schedules.create("s", anything, Schedule(every="1h"))
        await asyncio.gather(
            one.schedules.update("s", data=1),
            other.schedules.update("s", overlap=True),
            one.schedules.update("s", on_missed="catch-up"),
            other.schedules.update("s", jitter="1s"),
        )
        info = await one.schedules.find("s")
        assert info is not None
        assert info.schedule == Schedule(every="1h", data=1, overlap=True, on_missed="catch-up", jitter="1s")
