"""Dispatching one job."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest

from packages.producer.tests.playing import MANY, Order, Receipt, Storage, Surface, anything, orders
from taskora.contracts import Retry, Ttl, UsageError, ValidationError, define_task, static_contract
from taskora.wire import JsonSerializer, OutcomeKind


def fields(surface: Surface, producer: Any, job_id: str, task: str = "orders") -> dict[str, bytes]:
    info = surface.do(producer.inspector.find(task, job_id))
    assert info is not None
    return dict(info.fields)


def test_an_id_is_a_random_uuid(surface: Surface, task: Any) -> None:
    first, second = (surface.do(task.dispatch(Order("a"))) for _ in range(2))
    assert uuid.UUID(first.id).version == 4
    assert first.id == str(uuid.UUID(first.id))
    assert first.id != second.id
    assert first.enqueued
    assert first.existing_id is None
    assert repr(first).endswith(f"orders/{first.id}>")


def test_the_record_holds_what_workers_need(surface: Surface, producer: Any, task: Any) -> None:
    handle = surface.do(task.dispatch(Order("ä", 2)))
    record = fields(surface, producer, handle.id)
    assert int(record.pop("ts")) > 1_700_000_000_000
    assert record == {
        "_v": b"1", "attempt": b"1", "maxAttempts": b"1", "state": b"waiting", "priority": b"0",
        "data": '{"item":"ä","count":2}'.encode(),
    }  # fmt: skip


def test_the_contract_gives_version_attempts_and_time_to_live(surface: Surface, producer: Any) -> None:
    contract = define_task("versioned", input=int, version=4, retry=Retry(attempts=7), ttl=Ttl(max="1m"))
    bound = producer.register(contract)
    record = fields(surface, producer, surface.do(bound.dispatch(1)).id, "versioned")
    assert (record["_v"], record["maxAttempts"]) == (b"4", b"7")
    assert int(record["expireAt"]) - int(record["ts"]) == 60_000
    shorter = fields(surface, producer, surface.do(bound.dispatch(1, ttl="1s")).id, "versioned")
    assert int(shorter["expireAt"]) - int(shorter["ts"]) == 1000


def test_an_id_that_exists_is_neither_created_nor_changed(surface: Surface, producer: Any, task: Any) -> None:
    first = surface.do(task.dispatch(Order("a"), job_id="order-1"))
    before = fields(surface, producer, "order-1")
    again = surface.do(task.dispatch(Order("b"), job_id="order-1", priority=5, delay="1h"))
    assert (first.id, first.enqueued, first.existing_id) == ("order-1", True, None)
    assert (again.id, again.enqueued, again.existing_id) == ("order-1", False, "order-1")
    assert fields(surface, producer, "order-1") == before
    assert surface.do(producer.inspector.stats("orders"))["orders"].waiting == 1


def test_the_same_id_may_exist_once_per_task(surface: Surface, producer: Any, task: Any) -> None:
    other = producer.register(anything)
    assert surface.do(task.dispatch(Order("a"), job_id="x")).enqueued
    assert surface.do(other.dispatch(1, job_id="x")).enqueued


@pytest.mark.parametrize("delay", ["1m", 60, timedelta(minutes=1)])
def test_a_delayed_job_waits_for_its_time(surface: Surface, producer: Any, task: Any, delay: Any) -> None:
    handle = surface.do(task.dispatch(Order("a"), delay=delay))
    assert surface.do(handle.state()) == "delayed"
    assert fields(surface, producer, handle.id)["delay"] == b"60000"


def test_no_delay_may_be_said_in_two_ways(surface: Surface, task: Any) -> None:
    for delay in (None, 0):
        assert surface.do(surface.do(task.dispatch(Order("a"), delay=delay)).state()) == "waiting"


def test_priorities_leave_in_order(surface: Surface, producer: Any, task: Any) -> None:
    for priority in (0, 900, 10):
        surface.do(task.dispatch(Order("a"), job_id=f"p{priority}", priority=priority))
    waiting = surface.do(producer.inspector.waiting("orders"))
    assert [info.id for info in waiting] == ["p900", "p10", "p0"]
    assert waiting[0].priority == 900


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"job_id": ""}, "job_id must be"),
    ({"job_id": "a:b"}, "job_id must be"),
    ({"job_id": "a{b}"}, "job_id must be"),
    ({"job_id": "x" * 129}, "job_id must be"),
    ({"job_id": 7}, "job_id must be"),
    ({"job_id": "active"}, "job_id must be none of the reserved words"),
    ({"delay": "soon"}, "delay must be a duration.*'soon'"),
    ({"delay": -1}, "delay must be"),
    ({"delay": float("nan")}, "delay must be"),
    ({"delay": True}, "delay must be"),
    ({"ttl": 0}, "ttl must be a positive duration"),
    ({"ttl": "never"}, "ttl must be a duration"),
    ({"priority": 901}, "priority must be an integer from 0 to 900, got 901"),
    ({"priority": -1}, "priority must be"),
    ({"priority": 1.0}, "priority must be"),
    ({"priority": True}, "priority must be"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_a_bad_option_is_refused_before_anything_is_written(
    surface: Surface, redis_storage: Storage, options: Any, message: str
) -> None:
    with surface.producer(redis_storage.url) as producer:
        with pytest.raises(UsageError, match=message):
            surface.do(producer.register(orders).dispatch(Order("a"), **options))
        assert redis_storage.keys() == set()


def test_an_unknown_option_is_a_type_error(surface: Surface, task: Any) -> None:
    with pytest.raises(TypeError, match="delya"):
        surface.do(task.dispatch(Order("a"), delya="1s"))


def test_a_bad_payload_is_refused_before_anything_is_written(surface: Surface, storage: Storage, task: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        surface.do(task.dispatch(Order("a", MANY)))
    (issue,) = caught.value.issues
    assert (issue.path, issue.rule, issue.value) == (("count",), "int_parsing", "'many'")
    assert "input of task 'orders'" in str(caught.value)
    assert storage.keys() == set()


def test_one_call_may_skip_validation(surface: Surface, producer: Any, task: Any) -> None:
    handle = surface.do(task.dispatch({"anything": 1}, skip_validation=True))
    assert fields(surface, producer, handle.id)["data"] == b'{"anything":1}'
    with pytest.raises(ValidationError):
        surface.do(task.dispatch({"anything": 1}, skip_validation=False))


def test_a_producer_may_skip_validation_altogether(surface: Surface, storage: Storage) -> None:
    with surface.producer(storage.url, validate_on_dispatch=False) as producer:
        handle = surface.do(producer.register(orders).dispatch({"anything": 1}))
        assert fields(surface, producer, handle.id)["data"] == b'{"anything":1}'


@pytest.mark.parametrize(
    "contract", [static_contract[Order, Receipt]("orders"), static_contract[object, object]("orders")]
)
def test_a_static_contract_is_not_validated(surface: Surface, producer: Any, contract: Any) -> None:
    bound = producer.register(contract)
    handle = surface.do(bound.dispatch({"item": 5, "more": [None]}))
    assert fields(surface, producer, handle.id)["data"] == b'{"item":5,"more":[null]}'


def test_what_cannot_be_encoded_is_refused_even_without_validation(surface: Surface, storage: Storage) -> None:
    with surface.producer(storage.url, validate_on_dispatch=False) as producer, pytest.raises(ValidationError):
        surface.do(producer.register(orders).dispatch(object()))
    assert storage.keys() == set()


def test_a_payload_over_the_limit_is_refused_and_named_in_bytes(surface: Surface, storage: Storage) -> None:
    with surface.producer(storage.url, max_payload=20) as producer:
        bound = producer.register(define_task("texts", input=str))
        surface.do(bound.dispatch("x" * 18))
        with pytest.raises(UsageError, match=r"'texts' must be at most 20 bytes when encoded, got 21: store"):
            surface.do(bound.dispatch("x" * 19))
        with pytest.raises(UsageError, match="got 22"):
            surface.do(bound.dispatch("ä" * 10))
        assert surface.do(producer.inspector.stats())["texts"].waiting == 1


def test_a_payload_of_a_megabyte_is_the_default_limit(surface: Surface, producer: Any) -> None:
    bound = producer.register(define_task("texts", input=str))
    surface.do(bound.dispatch("x" * (1_048_576 - 2)))
    with pytest.raises(UsageError, match="at most 1048576 bytes"):
        surface.do(bound.dispatch("x" * (1_048_576 - 1)))


def test_a_task_without_input_takes_none(surface: Surface, producer: Any) -> None:
    bound = producer.register(define_task("tick"))
    handle = surface.do(bound.dispatch(None))
    assert fields(surface, producer, handle.id, "tick")["data"] == b"null"
    with pytest.raises(ValidationError):
        surface.do(bound.dispatch(1))


class Shouting:
    """Not JSON, and reversible."""

    def dumps(self, value: object) -> bytes:
        return JsonSerializer().dumps(value).swapcase()

    def loads(self, raw: bytes) -> object:
        return JsonSerializer().loads(raw.swapcase())


def test_a_serializer_of_ones_own_writes_payloads_and_reads_results(
    surface: Surface, storage: Storage, player: Any
) -> None:
    with surface.producer(storage.url, serializer=Shouting()) as producer:
        bound = producer.register(orders)
        handle = surface.do(bound.dispatch(Order("abc")))
        assert fields(surface, producer, handle.id)["data"] == b'\0Shouting\0{"ITEM":"ABC","COUNT":1}'
        assert surface.do(producer.inspector.find(handle.id)).data == {"item": "abc", "count": 1}
        (claim,) = player.claim()
        player.report(claim, ("progress", b'{"Done":1}'))
        assert surface.do(handle.progress()) == {"Done": 1}
        assert surface.do(producer.inspector.find(handle.id)).progress == {"Done": 1}
        player.settle(claim, OutcomeKind.COMPLETED, b'\0Shouting\0{"TOTAL":3}')
        assert surface.do(handle.result(timeout="5s")) == Receipt(3)
        assert surface.do(producer.inspector.find(handle.id)).result == {"total": 3}


def test_prefixes_keep_applications_apart(surface: Surface, redis_storage: Storage) -> None:
    with surface.producer(redis_storage.url, prefix="shop") as producer:
        surface.do(producer.register(orders).dispatch(Order("a"), job_id="x"))
    with surface.producer(redis_storage.url) as producer:
        assert surface.do(producer.inspector.stats()) == {}
    assert all(re.match(r"taskora:shop:", key) for key in redis_storage.keys())  # noqa: SIM118 - not a dict
