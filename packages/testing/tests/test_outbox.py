"""What the code under test dispatched."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from taskora.contracts import (
    Collect,
    Debounce,
    Deduplicate,
    JobTimeoutError,
    Schedule,
    Throttle,
    UsageError,
    chain,
    define_task,
)
from taskora.producer import AsyncProducer, Producer
from taskora.testing import Outbox, TestRunner, VirtualClock, open_outbox
from taskora.wire import Dispatched as RunsDispatched
from taskora.wire import DispatchOccurrences, Occurrence
from taskora.worker import SchedulerConfig, Worker
from tests.fixtures import StartServer
from tests.polling import aeventually


@dataclass
class Address:
    city: str
    zip: str = "0"


@dataclass
class Parcel:
    to: Address
    weight: int = 1
    tags: tuple[str, ...] = ()


ship = define_task("ship", input=Parcel)
note = define_task("note", input=dict[str, int])
gather = define_task("gather", input=int, collect=Collect(key="k", delay="2s"))
NOBODY = "redis://127.0.0.1:1/0"

early = Producer(NOBODY)
early_async = AsyncProducer(NOBODY)
send_early = early.register(ship)


@pytest.fixture
def outbox() -> Iterator[Outbox]:
    with open_outbox() as outbox:
        yield outbox


@pytest.fixture
async def producer() -> AsyncIterator[AsyncProducer]:
    async with AsyncProducer(NOBODY) as producer:
        yield producer


def parcel(city: str = "Riga", **options: Any) -> Parcel:
    return Parcel(to=Address(city), **options)


def test_producers_that_were_made_before_are_seen(outbox: Outbox) -> None:
    send_early.dispatch(parcel())
    assert [entry.data for entry in outbox.dispatched(ship)] == [parcel()]


async def test_so_are_those_of_asyncio_and_those_opened_meanwhile(outbox: Outbox) -> None:
    await early_async.register(ship).dispatch(parcel("a"))
    async with AsyncProducer("memory://") as producer:
        await producer.register(ship).dispatch_many([parcel("b"), parcel("c")])
    await asyncio.to_thread(send_early.dispatch, parcel("d"))
    async with Worker("embedded:///never") as worker:
        await worker.producer.register(ship).dispatch(parcel("e"))
    assert [entry.data.to.city for entry in outbox.dispatched(ship)] == [*"abcde"]


def test_producers_that_have_connected_are_seen_and_connect_again_afterwards() -> None:
    with Producer(f"memory://{uuid4().hex}") as producer:
        send = producer.register(ship)
        handle = send.dispatch(parcel("before"))
        with open_outbox() as outbox:
            send.dispatch(parcel("meanwhile"))
            outbox.assert_dispatched(ship, parcel("meanwhile"), count=1)
        send.dispatch(parcel("after"))
        assert (len(outbox), handle.state()) == (1, "waiting")
        assert producer.inspector.stats(ship)["ship"].waiting == 2


async def test_a_producer_that_waits_for_results_of_a_server_does_so_again_afterwards(
    start_server: StartServer,
) -> None:
    prefix, url = uuid4().hex, start_server("valkey9").url
    double = define_task("double", input=int, output=int)
    worker = Worker(url, prefix=prefix)
    worker.implement(double, lambda number: number * 2)
    async with AsyncProducer(url, prefix=prefix) as producer:
        send = producer.register(double)
        async with worker:
            assert await (await send.dispatch(1)).result(timeout="20s") == 2
        with open_outbox() as outbox:
            handle = await send.dispatch(2)
            with pytest.raises(JobTimeoutError):
                await handle.result(timeout="50ms")
            outbox.assert_dispatched(double, 2)
        after = await send.dispatch(3)
        second = Worker(url, prefix=prefix)
        second.implement(double, lambda number: number * 2)
        async with second:
            assert await after.result(timeout="20s") == 6
        assert await handle.state() is None


async def test_handles_work_on_jobs_of_the_outbox(outbox: Outbox, producer: AsyncProducer) -> None:
    handle = await producer.register(ship).dispatch(parcel())
    assert await handle.state() == "waiting"
    await handle.cancel()
    assert await handle.state() == "cancelled"


async def test_options_are_told(outbox: Outbox, producer: AsyncProducer) -> None:
    options: Any = {"delay": "5s", "priority": 3, "ttl": "1m", "concurrency_key": "k"}
    await producer.register(ship).dispatch(parcel(), job_id="one", concurrency_limit=2, **options)
    found = outbox.assert_dispatched(ship)
    assert (found.job_id, found.delay, found.priority, found.ttl) == (
        "one",
        timedelta(seconds=5),
        3,
        timedelta(minutes=1),
    )
    assert (found.lifo, found.concurrency_key, found.concurrency_limit, found.control) == (False, "k", 2, None)


@pytest.mark.parametrize(
    ("options", "control", "fates"),
    [
        ({"debounce": Debounce(key="x", delay="2s")}, "debounce", ["created", "created"]),
        ({"throttle": Throttle(key="x", max=1, window="1m")}, "throttle", ["created", "throttled"]),
        ({"deduplicate": Deduplicate(key="x")}, "deduplicate", ["created", "duplicate"]),
        ({"job_id": "same"}, None, ["created", "taken"]),
    ],
)
async def test_what_was_not_accepted_is_told_apart(
    outbox: Outbox, producer: AsyncProducer, options: Any, control: str | None, fates: list[str]
) -> None:
    for _ in fates:
        await producer.register(ship).dispatch(parcel(), **options)
    every = outbox.dispatched(ship) + outbox.rejected(ship)
    assert [(entry.fate, entry.control) for entry in every] == [(fate, control) for fate in fates]


async def test_payloads_that_gather_are_told(outbox: Outbox, producer: AsyncProducer) -> None:
    await producer.register(gather).dispatch(7)
    found = outbox.assert_dispatched(gather, 7)
    assert (found.fate, found.control, found.key, found.delay) == ("collected", "collect", "k", timedelta(seconds=2))


def is_heavy(data: Parcel) -> bool:
    return data.weight >= 2


MATCHING: list[Any] = [
    None,
    parcel("Riga", weight=2, tags=("x",)),
    is_heavy,
    {"weight": 2},
    {"to": {"city": "Riga"}},
    {"to": Address("Riga")},
    {},
]
NOT_MATCHING: list[Any] = [
    parcel("Riga"),
    {"weight": 3},
    {"to": {"city": "Oslo"}},
    {"nope": 1},
]


@pytest.mark.parametrize("matching", MATCHING)
def test_a_payload_that_matches(outbox: Outbox, matching: Any) -> None:
    send_early.dispatch(parcel(weight=2, tags=("x",)))
    assert outbox.assert_dispatched(ship, matching, count=1).data.weight == 2
    with pytest.raises(AssertionError, match="1 of task 'ship' should not have been dispatched"):
        outbox.assert_not_dispatched(ship, matching)


@pytest.mark.parametrize("matching", NOT_MATCHING)
def test_a_payload_that_does_not_match(outbox: Outbox, matching: Any) -> None:
    send_early.dispatch(parcel(weight=2, tags=("x",)))
    outbox.assert_not_dispatched(send_early, matching)
    with pytest.raises(AssertionError, match="no job of task 'ship' was dispatched whose payload"):
        outbox.assert_dispatched(send_early, matching)


def test_a_predicate_is_named(outbox: Outbox) -> None:
    send_early.dispatch(parcel())
    outbox.assert_not_dispatched(ship, is_heavy)
    with pytest.raises(AssertionError, match="whose payload passes is_heavy"):
        outbox.assert_dispatched(ship, is_heavy)


def test_mappings_are_matched_by_some_of_their_keys(outbox: Outbox) -> None:
    early.register(note).dispatch({"a": 1, "b": 2})
    outbox.assert_dispatched(note, {"a": 1})
    outbox.assert_not_dispatched(note, {"a": 1, "c": 3})


def test_a_failure_shows_what_was_dispatched_instead(outbox: Outbox) -> None:
    send_early.dispatch(parcel("Oslo"), delay="5s")
    early.register(note).dispatch({"a": 1})
    with pytest.raises(AssertionError) as failure:
        outbox.assert_dispatched(ship, {"to": {"city": "Riga"}})
    assert str(failure.value).splitlines() == [
        "no job of task 'ship' was dispatched whose payload has {'to': {'city': 'Riga'}}",
        "dispatched of this task:",
        "  Parcel(to=Address(city='Oslo', zip='0'), weight=1, tags=()) delay=0:00:05",
        "of other tasks: 'note' (1)",
    ]


def test_a_wrong_number_is_a_failure(outbox: Outbox) -> None:
    send_early.dispatch(parcel())
    with pytest.raises(AssertionError, match="1 instead of 2 of task 'ship' were dispatched"):
        outbox.assert_dispatched(ship, count=2)


def test_nothing_at_all(outbox: Outbox) -> None:
    outbox.assert_empty()
    send_early.dispatch(parcel())
    with pytest.raises(AssertionError, match=r"nothing should have been dispatched, but: 'ship' \(1\)"):
        outbox.assert_empty()
    outbox.clear()
    outbox.assert_empty()
    assert len(outbox) == 0


async def test_runs_of_schedules_are_told_once(outbox: Outbox) -> None:
    worker = Worker(NOBODY, scheduler=SchedulerConfig(poll_interval="20ms"))

    @worker.implement(note, schedule=Schedule(every="100ms", data={"a": 1}))
    async def handle(data: dict[str, int]) -> None: ...

    async with worker:
        await aeventually(lambda: len(outbox.dispatched(note)) > 2)
    runs = outbox.dispatched(note)
    assert {(run.schedule, run.fate, run.data["a"]) for run in runs} == {("note", "created", 1)}
    assert len({run.job_id for run in runs}) == len(runs)


def test_a_run_that_is_asked_for_again_is_told_once(outbox: Outbox) -> None:
    run = DispatchOccurrences(
        task="note",
        schedule="nightly",
        version=1,
        max_attempts=1,
        claimed_until_ms=0,
        overlap=True,
        last_job_id="",
        jobs=[Occurrence(job_id="r1", data=b'{"a":1}', delay_ms=5000, ttl_ms=1000)],
    )
    for reply in (RunsDispatched.UNDER_WAY, RunsDispatched.DONE, RunsDispatched.DONE):
        outbox.record(None, run, reply)
    told = outbox.assert_dispatched(note, {"a": 1}, count=1)
    assert (told.job_id, told.schedule, told.delay, told.ttl) == (
        "r1",
        "nightly",
        timedelta(seconds=5),
        timedelta(seconds=1),
    )


def test_prefixes_stay_apart_and_are_told(outbox: Outbox) -> None:
    for prefix in ("one", "two"):
        with Producer(NOBODY, prefix=prefix) as producer:
            assert producer.register(ship).dispatch(parcel(), job_id="same").enqueued
    assert [entry.prefix for entry in outbox.dispatched(ship)] == ["one", "two"]


class Hex:
    def dumps(self, value: object) -> bytes:
        return repr(value).encode().hex().encode()

    def loads(self, raw: bytes) -> object:
        found: object = eval(bytes.fromhex(raw.decode()))
        return found


def test_payloads_of_another_serializer_are_read_with_it(outbox: Outbox) -> None:
    with Producer(NOBODY, serializer=Hex()) as producer:
        producer.register(note).dispatch({"a": 1})
    outbox.serializer = Hex()
    outbox.assert_dispatched(note, {"a": 1})


async def test_of_a_workflow_the_first_steps_are_dispatched(outbox: Outbox, producer: AsyncProducer) -> None:
    double = define_task("double", input=int, output=int)
    flow = await producer.dispatch(chain(double.s(1), double.s(), double.s()), name="thrice", ttl="5m")
    [workflow] = outbox.workflows
    assert (workflow.workflow_id, workflow.name, workflow.tasks) == (flow.id, "thrice", ("double",) * 3)
    assert workflow.ttl == timedelta(minutes=5)
    assert outbox.assert_dispatched(double, 1, count=1).workflow_id == flow.id
    await producer.register(double).map([5, 6])
    assert [entry.data for entry in outbox.dispatched(double)] == [1, 5, 6]
    outbox.clear()
    assert outbox.workflows == []


async def test_steps_that_follow_are_told_when_the_runner_gets_there() -> None:
    double = define_task("double", input=int, output=int)
    worker = Worker(NOBODY)
    worker.implement(double, lambda number: number * 2)
    async with TestRunner(worker, clock=VirtualClock()) as runner:
        with open_outbox(runner.clock, runner) as outbox:
            flow = await early_async.dispatch(chain(double.s(1), double.s()))
            await runner.process_all()
            assert await flow.state() == "completed"
            assert outbox.dispatched(double)[0].data == 1


def test_what_is_no_task_is_refused(outbox: Outbox) -> None:
    nothing: Any = "ship"
    with pytest.raises(UsageError, match="task must be a contract"):
        outbox.dispatched(nothing)


def test_one_outbox_at_a_time(outbox: Outbox) -> None:
    with pytest.raises(UsageError, match="redirected already"), open_outbox():
        pass


async def test_with_a_runner_the_jobs_run_and_what_handlers_dispatch_is_told() -> None:
    worker = Worker(NOBODY)

    @worker.implement(ship)
    async def handle(data: Parcel) -> None:
        await worker.producer.register(note).dispatch({"weight": data.weight})

    async with TestRunner(worker, clock=VirtualClock()) as runner:
        with open_outbox(runner.clock, runner) as outbox:
            await runner.dispatch(ship, parcel(weight=1))
            await asyncio.to_thread(send_early.dispatch, parcel(weight=2), delay="1h")
            await runner.process_all()
            assert outbox.tasks == {"ship": 1, "note": 1}
            await runner.advance_time("1h")
            outbox.assert_dispatched(note, {"weight": 2})
        assert runner.backend.listeners == []
