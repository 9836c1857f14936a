from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest
from typing_extensions import TypedDict

from packages.worker.tests.workbench import anything, double, find, reach
from taskora.contracts import JobFailedError, JobState, Retry, ValidationError, define_task, static_contract
from taskora.producer import FailedEvent
from taskora.wire import Enqueue, NewJob
from taskora.worker import Worker
from tests.polling import aeventually


class Model(pydantic.BaseModel):
    name: str
    size: int = 1


class Struct(msgspec.Struct):
    name: str
    size: int = 1


@dataclass
class Data:
    name: str
    size: int = 1


class Record(TypedDict):
    name: str
    size: int


SHAPES = [
    (Model, Model(name="a", size=2)),
    (Struct, Struct(name="a", size=2)),
    (Data, Data(name="a", size=2)),
    (Record, Record(name="a", size=2)),
    (list[Model], [Model(name="a")]),
    (dict[str, Struct], {"b": Struct(name="a")}),
    (int | None, None),
]


@pytest.mark.parametrize(("annotation", "value"), SHAPES, ids=range(len(SHAPES)))
async def test_handlers_take_and_give_declared_types(url: str, annotation: Any, value: Any) -> None:
    worker = Worker(url)
    contract = define_task("mirror", input=annotation, output=annotation)
    seen: list[object] = []

    async def handle(data: Any) -> Any:
        seen.append(data)
        return data

    worker.implement(contract, handle)
    async with worker:
        assert await (await worker.register(contract).dispatch(value)).result("5s") == value
    assert seen == [value]
    assert type(seen[0]) is type(value)


async def test_a_static_contract_is_decoded_by_its_types(url: str) -> None:
    worker = Worker(url)
    contract = static_contract[Data, Data]("static")

    @worker.implement(contract)
    async def handle(data: Data) -> Data:
        return Data(name=data.name * 2)

    async with worker:
        assert await (await worker.register(contract).dispatch(Data("ab"))).result("5s") == Data("abab")


WRONG_RESULTS: list[tuple[Any, Any]] = [
    (int, "many"),
    (int, None),
    (Model, {"size": "large"}),
    (Model, Model.model_construct(name=3)),
    (Data, Data(name=b"\xff")),  # type: ignore[arg-type]  # wrong on purpose
    (object, object()),
    (None, 3),
]


@pytest.mark.parametrize(("annotation", "result"), WRONG_RESULTS, ids=range(len(WRONG_RESULTS)))
async def test_a_result_that_does_not_fit_fails_the_job(url: str, annotation: Any, result: Any) -> None:
    worker = Worker(url)
    contract = define_task("wrong", input=int, output=annotation, retry=Retry(attempts=3, delay="1ms"))

    async def handle(data: int) -> Any:
        return result

    worker.implement(contract, handle)
    async with worker:
        job = await worker.register(contract).dispatch(1)
        with pytest.raises(JobFailedError, match="Validation failed for the output of task 'wrong'"):
            await job.result("5s")
        info = await find(worker, job.id)
    assert (info.attempt, "result" in info.fields) == (1, False)


UNREADABLE = [b"{", b'"many"', b"\xff\xfe", b'{"a": 1}', b"[" * 100_000]


@pytest.mark.parametrize("raw", UNREADABLE, ids=range(len(UNREADABLE)))
async def test_a_job_that_cannot_be_decoded_fails_and_keeps_its_data(url: str, raw: bytes) -> None:
    worker = Worker(url)
    called: list[int] = []

    @worker.implement(double)
    async def handle(data: int) -> int:
        called.append(data)
        return data

    async with worker:
        await enqueue_raw(worker, "double", raw)
        info = await reach(worker, "raw", JobState.FAILED)
    assert (info.error or "").startswith("Validation failed for the input of task 'double'")
    assert info.fields["data"] == raw
    assert called == []


async def test_a_job_without_data_is_given_nothing(url: str) -> None:
    worker = Worker(url)
    seen: list[object] = []

    @worker.implement(anything)
    async def handle(data: object) -> None:
        seen.append(data)

    async with worker:
        await enqueue_raw(worker, "anything", b"")
        await reach(worker, "raw", JobState.COMPLETED)
        assert await worker.register(anything).job("raw").result("5s") is None
    assert seen == [None]


async def test_invalid_input_is_refused_before_anything_is_stored(url: str) -> None:
    worker = Worker(url)
    wrong: Any = "many"
    with pytest.raises(ValidationError, match="Validation failed for the input of task 'double'"):
        await worker.register(double).dispatch(wrong)
    assert (await worker.producer.inspector.stats(double))["double"].waiting == 0
    await worker.close()


async def test_a_job_of_a_version_that_is_no_longer_known_fails_aloud(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(url)
    contract = define_task("double", input=int, output=int, version=3, retry=Retry(attempts=5, delay="1ms"))
    failed: list[FailedEvent] = []

    @worker.implement(contract, since=2)
    async def handle(data: int) -> int:
        return data

    async with worker:
        await enqueue_raw(worker, "double", b"4", version=1)
        info = await reach(worker, "raw", JobState.FAILED)
        assert info.error == "Job version 1 is below minimum supported version 2 — migration no longer available"
        assert (await worker.producer.inspector.stats(contract))["double"].failed == 1
        await aeventually(lambda: "task double job raw failed (attempt 1/5)" in caplog.text)
        worker.on("task:failed")(failed.append)
        await enqueue_raw(worker, "double", b"4", version=1, job_id="again")
        # The failure of the moment before may be told, too.
        await aeventually(lambda: [(event.job_id, event.will_retry) for event in failed][-1:] == [("again", False)])


async def enqueue_raw(worker: Worker, task: str, raw: bytes, *, version: int = 1, job_id: str = "raw") -> None:
    """Enqueues bytes as another program might have."""
    job = NewJob(job_id=job_id, data=raw)
    await worker._backend.run(Enqueue(task=task, version=version, max_attempts=1, jobs=[job]))


async def test_an_older_job_that_is_still_accepted_runs(url: str) -> None:
    worker = Worker(url)

    @worker.implement(define_task("double", input=int, output=int, version=3), since=2)
    async def handle(data: int) -> int:
        return data * 2

    async with worker:
        await enqueue_raw(worker, "double", b"4", version=2)
        assert await worker.register(worker.implementations["double"].contract).job("raw").result("5s") == 8
