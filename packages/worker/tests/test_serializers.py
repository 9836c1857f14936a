"""Payloads that are not JSON, from the dispatch to the result; and sides that do not agree."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pydantic
import pytest

from packages.worker.tests import process_handlers
from packages.worker.tests.workbench import double, find, reach
from taskora.contracts import (
    Collect,
    Deduplicate,
    JobFailedError,
    JobState,
    Retry,
    UsageError,
    ValidationError,
    define_task,
    into,
)
from taskora.producer import AsyncProducer, Producer
from taskora.wire import JsonSerializer
from taskora.worker import Context, Worker
from tests.polling import aeventually


class MessagePack:
    """MessagePack."""

    name = "msgpack"

    def dumps(self, value: object) -> bytes:
        return msgspec.msgpack.encode(value)

    def loads(self, raw: bytes) -> object:
        return msgspec.msgpack.decode(raw)


class PrettyJson(JsonSerializer):
    """JSON with a form of its own."""

    def dumps(self, value: object) -> bytes:
        return b" " + super().dumps(value)


class Line(pydantic.BaseModel):
    item: str
    at: datetime
    parts: list[int] = []


class Point(msgspec.Struct):
    x: int


LABEL = b"\0msgpack\0"
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
lines = define_task("lines", input=Line, output=Line, retry=Retry(attempts=3, delay="1ms"))
points = define_task("points", input=list[Point], output=Point)
echo = define_task("echo", input=object, output=object)


def echoing(url: str, serializer: Any, contract: Any = echo, **options: Any) -> Worker:
    worker = Worker(url, serializer=serializer)

    async def handle(data: Any) -> Any:
        return data

    worker.implement(contract, handle, **options)
    return worker


async def test_payloads_results_and_listings_are_messagepack(url: str) -> None:
    worker = Worker(url, serializer=MessagePack())

    @worker.implement(lines)
    async def handle(line: Line, ctx: Context) -> Line:
        ctx.progress({"half": 0.5})
        ctx.log.info("seen", item=line.item)
        return line.model_copy(update={"parts": [1, 2]})

    sent = Line(item="ä", at=NOON)
    async with worker, AsyncProducer(url, serializer=MessagePack()) as producer:
        handle_ = await producer.register(lines).dispatch(sent)
        assert await handle_.result("5s") == Line(item="ä", at=NOON, parts=[1, 2])
        assert await handle_.progress() == {"half": 0.5}
        info = await find(producer, handle_.id)
    plain: dict[str, object] = {"item": "ä", "at": "2024-05-01T12:00:00Z", "parts": []}
    assert info.fields["data"] == LABEL + msgspec.msgpack.encode(plain)
    assert info.fields["result"].startswith(LABEL)
    assert (info.data, info.result) == (plain, plain | {"parts": [1, 2]})
    assert [entry.message for entry in info.logs] == ["seen"]


async def test_structs_and_batches_and_nothing_at_all_cross_too(url: str) -> None:
    worker = echoing(url, MessagePack())

    @worker.implement(points)
    async def first(data: list[Point]) -> Point:
        return data[0]

    async with worker:
        assert await (await worker.register(points).dispatch([Point(3)])).result("5s") == Point(3)
        values: list[object] = [None, 0, 49, "", [1, {"a": None}], 1.5]
        jobs = await worker.register(echo).dispatch_many(values)
        assert [await job.result("5s") for job in jobs] == values


async def test_the_synchronous_producer_writes_and_reads_the_same(url: str) -> None:
    def dispatch() -> object:
        with Producer(url, serializer=MessagePack()) as producer:
            return producer.register(echo).dispatch([1, "ä"]).result("5s")

    async with echoing(url, MessagePack()):
        assert await asyncio.to_thread(dispatch) == [1, "ä"]


async def test_retries_see_the_same_payload(url: str) -> None:
    worker = Worker(url, serializer=MessagePack())
    seen: list[Line] = []

    @worker.implement(lines)
    async def handle(line: Line) -> Line:
        seen.append(line)
        if len(seen) < 3:
            raise RuntimeError("again")
        return line

    async with worker:
        job = await worker.register(lines).dispatch(Line(item="a", at=NOON))
        assert await job.result("5s") == seen[0] == seen[1] == seen[2]


async def test_payloads_of_old_versions_are_migrated(url: str) -> None:
    old = define_task("line", input=dict[str, str], version=1)
    new = define_task("line", input=Line, output=Line, version=2)
    step = into(Line, lambda payload: {"item": payload["name"], "at": NOON})
    async with echoing(url, MessagePack(), new, migrate=[step]) as worker:
        job = await AsyncProducer(worker._backend, serializer=MessagePack()).register(old).dispatch({"name": "a"})
        assert await worker.register(new).job(job.id).result("5s") == Line(item="a", at=NOON)


async def test_a_damaged_payload_of_an_old_version_is_not_retried(url: str) -> None:
    new = define_task("line", input=object, version=2)
    async with echoing(url, MessagePack(), new, migrate={1: same}, retry=Retry(attempts=3)) as worker:
        job = await AsyncProducer(worker._backend).register(define_task("line", input=object)).dispatch({"a": 1})
        info = await reach(worker, job.id, JobState.FAILED)
    assert info.attempt == 1
    assert "written with serializer JSON, but read with 'msgpack'" in (info.error or "")


def same(payload: object) -> object:
    return payload


async def test_handlers_in_processes_get_decoded_payloads(memory: str) -> None:
    worker = Worker(memory, serializer=MessagePack())
    worker.implement(double, process_handlers.double, executor="process")
    async with worker:
        assert await (await worker.register(double).dispatch(21)).result("30s") == 42


async def test_events_carry_decoded_results(url: str) -> None:
    worker = echoing(url, MessagePack())
    results: list[object] = []

    @worker.register(echo).on("completed")
    async def listen(event: Any) -> None:
        results.append(event.result)

    async with worker:
        await worker.register(echo).dispatch({"a": [1]})
        assert await aeventually(lambda: results) == [{"a": [1]}]


async def test_a_job_that_carries_the_latest_payload_is_read(url: str) -> None:
    async with AsyncProducer(url, serializer=MessagePack()) as producer:
        task, rule = producer.register(echo), Deduplicate(key="k", keep_latest=True)
        first = await task.dispatch([1], deduplicate=rule)
        await task.dispatch([2], deduplicate=rule)
        async with echoing(url, MessagePack()):
            assert await first.result("5s") == [2]


MISMATCHES = [
    (None, MessagePack(), "written with serializer JSON, but read with 'msgpack'"),
    (MessagePack(), None, "written with serializer 'msgpack', but read with JSON"),
]


@pytest.mark.parametrize("value", [{"n": 1}, 1, 49, [1], "a"], ids=repr)
@pytest.mark.parametrize(("writer", "reader", "message"), MISMATCHES, ids=["json-msgpack", "msgpack-json"])
async def test_a_job_of_another_serializer_fails_at_once_with_both_names(
    url: str, writer: Any, reader: Any, message: str, value: object
) -> None:
    async with echoing(url, reader, retry=Retry(attempts=5, delay="1ms")) as worker:
        async with AsyncProducer(url, serializer=writer) as producer:
            job = await producer.register(echo).dispatch(value)
            with pytest.raises(JobFailedError, match=f"Validation failed for the input of task 'echo'.*\n.*{message}"):
                await job.result("5s")
            (dead,) = await producer.dead_letters.list(echo)
        assert (dead.id, dead.attempt) == (job.id, 1)
        assert "give all producers and workers of a task the same serializer=" in (dead.error or "")
        info = await find(worker, job.id)
        assert info.data == (
            f"{len(info.fields['data'])} bytes of serializer 'msgpack'" if writer else value_text(value)
        )


def value_text(value: object) -> str:
    return JsonSerializer().dumps(value).decode()


@pytest.mark.parametrize(("writer", "reader", "message"), MISMATCHES, ids=["json-msgpack", "msgpack-json"])
async def test_a_job_that_failed_so_can_be_retried_by_a_worker_that_agrees(
    url: str, writer: Any, reader: Any, message: str
) -> None:
    async with AsyncProducer(url, serializer=writer) as producer:
        job = await producer.register(echo).dispatch(1)
        async with echoing(url, reader) as worker:
            await reach(worker, job.id, JobState.FAILED)
        assert await producer.dead_letters.retry(job.id)
        async with echoing(url, writer):
            assert await job.result("5s") == 1


@pytest.mark.parametrize("surface", [AsyncProducer, Producer])
@pytest.mark.parametrize(("writer", "reader", "message"), MISMATCHES, ids=["json-msgpack", "msgpack-json"])
async def test_reading_a_result_of_another_serializer_names_the_job(
    url: str, surface: Any, writer: Any, reader: Any, message: str
) -> None:
    async with echoing(url, writer) as worker:
        job = await worker.register(echo).dispatch(1)
        assert await job.result("5s") == 1
        if surface is AsyncProducer:
            async with AsyncProducer(url, serializer=reader) as producer:
                waiting = producer.register(echo).job(job.id).result("5s")
                with pytest.raises(ValidationError, match=message) as caught:
                    await waiting
        else:
            with pytest.raises(ValidationError, match=message) as caught:
                await asyncio.to_thread(read_result, url, reader, job.id)
    assert f"Validation failed for the output of task 'echo', job '{job.id}'" in str(caught.value)
    assert (caught.value.job_id, caught.value.issues[0].rule) == (job.id, "serializer")


def read_result(url: str, serializer: Any, job_id: str) -> object:
    with Producer(url, serializer=serializer) as producer:
        return producer.register(echo).job(job_id).result("5s")


async def test_a_task_that_collects_refuses_what_is_not_json(memory: str) -> None:
    gathering = define_task("gathering", input=int, collect=Collect(key="k", delay="1s"))
    worker = Worker(memory, serializer=MessagePack())
    refused = pytest.raises(UsageError, match="task 'gathering' collects, which needs JSON")
    with refused:
        worker.producer.register(gathering)
    with refused:
        worker.implement(gathering, handle_batch, collect=Collect(key="k", delay="1s"))
    with refused:
        Producer(memory, serializer=MessagePack()).register(gathering)
    await worker.close()


async def handle_batch(data: list[int]) -> None:
    return None


async def test_a_subclass_of_the_json_serializer_writes_json_in_its_own_way(url: str) -> None:
    gathering = define_task("gathering", input=int, output=int, collect=Collect(key="k", delay="1ms"))
    worker = echoing(url, PrettyJson())
    sums: list[list[int]] = []

    @worker.implement(gathering, collect=Collect(key="k", delay="1ms"))
    async def handle(data: list[int]) -> int:
        sums.append(data)
        return sum(data)

    async with worker, AsyncProducer(url) as others:
        job = await worker.register(echo).dispatch({"a": 1})
        assert await job.result("5s") == {"a": 1}
        assert (await find(worker, job.id)).fields["data"] == b' {"a":1}'
        assert await others.register(echo).job(job.id).result("5s") == {"a": 1}
        await worker.register(gathering).dispatch(4)
        assert await aeventually(lambda: sums) == [[4]]


async def test_a_name_that_is_none_is_refused_by_both_sides(memory: str) -> None:
    class Packed(MessagePack):
        name = ""

    for make in (Worker, AsyncProducer, Producer):
        with pytest.raises(UsageError, match=r"serializer\.name must be"):
            make(memory, serializer=Packed())
